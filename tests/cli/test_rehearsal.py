"""Full variants, which need a cluster: what `qstar plan` says of their cells, and one batch with the tiny world put in.

Some cells stand for the others in the quick run; in the slow one are all that differ.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from qstar_pl.cli.cells import resolved
from qstar_pl.cli.planned import Planned, read_plan
from qstar_pl.cli.rehearsal import rehearse
from qstar_pl.cli.shipped import FOLDER, configuration
from qstar_pl.commands.plan import cluster_of, make_parser
from qstar_pl.experiments.matrix import Cell, Evaluation, Experiment, check_cells, read_experiment, variants_of

FILES = {file.stem: file for file in sorted((FOLDER / "experiments").glob("*.yaml")) if "full" in variants_of(file)}
PLANNED = [("main", "q_star"), ("scaling_model", "llama2_13b")]
REHEARSED = [("main", "on_policy"), ("scaling_model", "pythia_6.9b"), ("target", "best_of_n"), ("ledpo_beta", "ledpo")]
REHEARSED += [("scaling_task", "ppo-code")]  # whose reward runs programs
REHEARSED += [("cross_domain", "dpo")]  # whose data has parts, one of which is scored
DAY_S = 86_400


def full(name: str, *cells: str) -> Experiment:
    """An experiment's full variant; of it these cells, or all."""
    whole = read_experiment(FILES[name], "full", configuration)
    chosen = [cell for cell in whole.cells if cell.name in cells or not cells]
    assert len(chosen) == len(cells or whole.cells)
    return replace(whole, cells=chosen)


def planned(cell: Cell) -> Planned:
    options = make_parser().parse_known_args([])[0]
    return read_plan(cell.words, lambda trainer: cluster_of(options, trainer), {})


def check_plan(experiment: Experiment, cell: Cell) -> None:
    """A cell fits the machine that SLURM is asked for, and ends in days."""
    found = planned(cell)
    asked = dict(option.split("=", 1) for option in experiment.slurm)
    assert found.plan.fits, found.plan.peak
    assert found.plan.cluster.gpu == "A100-80GB"
    assert found.plan.cluster.nodes == int(asked["nodes"])
    assert f"gpu:{found.plan.cluster.gpus}" == asked["gres"]
    assert found.plan.speed.tokens_per_s > 0
    assert found.steps
    assert found.steps * found.plan.speed.step_s < 14 * DAY_S


def check_rehearsal(experiments: Iterable[Experiment]) -> int:
    known = set[str]()
    done = [one for experiment in experiments for one in rehearse(experiment, known)]
    assert [one.mistake for one in done if one.mistake] == []
    return len(done)


@pytest.mark.parametrize("name", FILES)
def test_the_cluster_is_asked_for_by_what_has_a_place_there(name: str) -> None:
    experiment = full(name)
    assert {option.split("=")[0] for option in experiment.slurm} >= {"nodes", "gres", "time"}
    assert experiment.evaluation.score != "val/reward_gold"  # no truth is known outside the tiny world
    assert not [word for cell in experiment.cells for word in cell.words if re.search(r"[=\"]tiny\b", word)]


@pytest.mark.parametrize(("name", "cell"), PLANNED)
def test_a_cell_can_be_planned_without_its_models(name: str, cell: str, lightning: None) -> None:
    experiment = full(name, cell)
    check_plan(experiment, experiment.cells[0])


def test_one_batch_of_some_cells(isolated: object, lightning: None) -> None:
    assert check_rehearsal(full(*one) for one in REHEARSED) == len(REHEARSED)
    assert not list(Path().iterdir())


def test_equal_cells_are_rehearsed_once(isolated: object, lightning: None) -> None:
    known = set[str]()
    assert [one.cell.name for one in rehearse(full("ledpo_base", "dpo-policy", "dpo-qwen"), known)] == ["dpo-policy"]


def test_a_cell_whose_score_is_not_measured_is_named(isolated: object, lightning: None) -> None:
    unmeasured = replace(full("ledpo_beta", "beta_0.5"), evaluation=Evaluation("val/reward_gold"))
    (found,) = rehearse(unmeasured)
    assert found.mistake == "cell beta_0.5: its validation reports no val/reward_gold"


@pytest.mark.slow  # a second for each
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", FILES)
def test_every_cell_can_be_planned_and_ends_at_its_budget(name: str, isolated: object, lightning: None) -> None:
    experiment = full(name)
    check_cells(experiment, resolved(experiment), experiment.evaluation.score)
    for cell in experiment.cells:
        check_plan(experiment, cell)


@pytest.mark.slow  # minutes
@pytest.mark.timeout(1800)
def test_one_batch_of_every_cell(isolated: object, lightning: None) -> None:
    assert check_rehearsal(map(full, FILES)) > 60
