"""A sweep for every cell, its winner, and the runs that use it; `qstar fit` is a stand-in."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_experiment import CODE, TEMPLATE, experiment, go

from qstar_pl.errors import UserError
from qstar_pl.experiments.matrix import Experiment, Settings, Tune
from qstar_pl.experiments.results.files import write_results
from qstar_pl.experiments.results.outcome import outcome
from qstar_pl.experiments.running.launcher import Settled, Template
from qstar_pl.experiments.running.planned import plan, prepare
from qstar_pl.experiments.running.reuse import Reuse, take_over
from qstar_pl.experiments.tuning.tuning import Tuning, with_tuned

OUT = Path("all/small")
LR = "model.init_args.optimizer.init_args.lr"


def whole(factors: tuple[float, ...], *seeds: int) -> Experiment:
    tune = Tune("model.optimizer.lr", factors, seeds or (100,), "small.yaml:4")
    return replace(with_tuned(replace(experiment(), tune=tune)), seeds=(0,))


def conduct(asked: Experiment, output: Path = OUT) -> tuple[Tuning, dict]:
    """Run the plain cells and the sweep, then what won; return what results.json says."""
    settings = {cell.name: Settings({"words": list(cell.words), LR: 1.0}) for cell in asked.cells}
    tuning = Tuning.of(asked, settings, output, CODE)
    assert tuning is not None
    runs = plan(asked, settings, asked.seeds, output, CODE)
    go([*runs, *tuning.runs])
    todo, _ = take_over(prepare(tuning.tuned(asked.seeds))[0], Reuse([output.parent]))
    Template(TEMPLATE).start(todo, Settled(2, 1, "small", output), lambda _: None)
    found = [outcome(run, asked.budget) for run in [*runs, *tuning.tuned(asked.seeds)]]
    write_results(asked, found, output, tuning.record())
    return tuning, json.loads((output / "results.json").read_text())


def test_the_best_value_of_each_cell_is_used_for_a_second_set_of_cells(isolated: Path) -> None:
    tuning, found = conduct(whole((0.5, 1.0, 3.0)))
    assert tuning.lines()[0] == "one: model.optimizer.lr 1 → 3 (×0.5 1.590, ×1 3.180, ×3 9.540)"
    assert [(run["cell"], run["seed"], run["factors"]["tuned"]) for run in found["runs"]] == [
        ("one", 0, "shared"),
        ("two", 0, "shared"),
        ("one-tuned", 0, "tuned"),
        ("two-tuned", 0, "tuned"),
    ]
    assert "--model.optimizer.lr=3.0" in found["runs"][2]["command"]
    assert found["runs"][2]["after"]["val/reward_gold"] == pytest.approx(
        3 * found["runs"][0]["after"]["val/reward_gold"]
    )
    sweep = found["tuning"]
    assert (sweep["option"], sweep["factors"], sweep["seeds"]) == ("model.optimizer.lr", [0.5, 1, 3], [100])
    assert [one["cell"] for one in sweep["cells"]] == ["one", "two"]
    first = sweep["cells"][0]
    assert (first["tuned"], first["shared"]) == ("one-tuned", 1)
    assert (first["chosen"], first["remark"]) == ({"factor": 3, "value": 3}, "")
    assert [run["folder"] for one in first["tries"] for run in one["runs"]] == [
        f"tuning/one-x{factor}/seed_100" for factor in ("0.5", "1", "3")
    ]


def test_a_cell_whose_own_value_is_best_takes_its_runs_over(isolated: Path) -> None:
    _, found = conduct(whole((0.5, 1.0)))
    assert [run["origin"] for run in found["runs"]] == ["", "", "small/cells/one/seed_0", "small/cells/two/seed_0"]
    assert [run["after"] for run in found["runs"][2:]] == [run["after"] for run in found["runs"][:2]]


def test_a_value_that_fails_is_out_and_said(isolated: Path) -> None:
    tuning, found = conduct(whole((1.0, 9.0), 100, 101))
    one = found["tuning"]["cells"][0]
    assert one["chosen"] == {"factor": 1, "value": 1}
    assert one["remark"] == "×9 is out (seed 100: lr must be positive, got -1)"
    assert tuning.lines()[0].startswith("one: model.optimizer.lr stays 1 (×1 3.195, ×9 none; ×9 is out")
    assert one["tries"][1]["score"] is None


def test_before_a_sweep_has_ended_nothing_is_chosen_and_what_comes_is_the_same(isolated: Path) -> None:
    asked = whole((0.5, 1.0, 3.0))
    conduct(asked, Path("all/whole/small"))
    output = Path("all/interrupted/small")
    settings = {cell.name: Settings({"words": list(cell.words), LR: 1.0}) for cell in asked.cells}
    tuning = Tuning.of(asked, settings, output, CODE)
    assert tuning is not None
    go(tuning.runs[:4])
    assert [one.sweep.cell.name for one in tuning.choices() if one.is_decided] == ["one"]
    assert [run.name for run in tuning.tuned((0,))] == ["one-tuned, seed 0"]
    assert tuning.record()["cells"][1]["chosen"] is None
    conduct(asked, output)
    assert (output / "results.json").read_text() == Path("all/whole/small/results.json").read_text().replace(
        "all/whole", "all/interrupted"
    )


def test_other_seeds_of_tuned_cells_stay(isolated: Path) -> None:
    asked = whole((0.5, 1.0, 3.0))
    tuning, _ = conduct(asked)
    assert [run.name for run in tuning.kept((1,))] == ["one-tuned, seed 0", "two-tuned, seed 0"]
    assert tuning.kept((0,)) == []


def test_an_option_that_a_cell_does_not_have_is_refused(isolated: Path) -> None:
    message = (
        "small.yaml:4: tune.option must be a decimal number of every cell, got model.optimizer.lr, which is none of one"
    )
    with pytest.raises(UserError, match=message):
        Tuning.of(whole((1.0, 3.0)), dict.fromkeys(("one", "two"), Settings({LR: "1"})), OUT, CODE)
