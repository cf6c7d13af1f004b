"""Equal runs are taken over, from other cells and experiments, whole or not at all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from small_experiment import CODE, TEMPLATE, experiment, go, runs, write

from qstar_pl.experiments.running.launcher import Settled, Template
from qstar_pl.experiments.running.planned import PlannedRun, kept, prepare
from qstar_pl.experiments.running.reuse import Reuse, take_over

HERE = Reuse([Path("all")])
COUNT = 4


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "all"
    go(runs(folder / "first"))
    return folder


@pytest.fixture
def there(finished: Path, isolated: Path) -> list[PlannedRun]:
    shutil.copytree(finished, "all")
    return runs(Path("all/second"))


def test_what_has_finished_in_another_experiment_is_taken_over_and_says_so(there: list[PlannedRun]) -> None:
    assert take_over(there, HERE) == ([], ["4 runs taken over from first"])
    assert [run.state for run in there] == ["finished"] * COUNT
    found = write(there)
    written = json.loads(Path("all/second/results.json").read_text())["runs"]
    assert [run["origin"] for run in written] == [f"first/cells/{c}/seed_{s}" for s in (0, 1) for c in ("one", "two")]
    assert [dict(one.after) for one in found] == [dict(one.after) for one in write(runs(Path("all/first")))]
    assert found[0].run.folder.seconds() == runs(Path("all/first"))[0].folder.seconds()
    assert {one["origin"] for one in json.loads(Path("all/first/results.json").read_text())["runs"]} == {""}
    # Of one that was taken over itself the origin is named; what is appended to is no link.
    third = runs(Path("all/third"))
    assert take_over(third, HERE)[1] == ["4 runs taken over from first"]
    one, other = (run.folder.path / "version_0" for run in (there[0], third[0]))
    assert (one / "checkpoints/last.ckpt").samefile(other / "checkpoints/last.ckpt")
    assert not (one / "metrics.csv").samefile(other / "metrics.csv")


def spoil(run: PlannedRun, how: str) -> None:
    match how:
        case "at work":
            run.folder.exit_file.unlink()
        case "failed":
            run.folder.end(1)
        case "no metrics":
            (run.folder.path / "version_0/metrics.csv").unlink()
        case "other settings":
            asked = run.folder.asked
            assert asked is not None
            run.folder.begin(replace(asked, digest="other"))
            run.folder.end(0)


@pytest.mark.parametrize("how", ["at work", "failed", "no metrics", "other settings"])
def test_what_is_not_equal_or_has_not_finished_is_left_alone(there: list[PlannedRun], how: str) -> None:
    spoil(runs(Path("all/first"))[0], how)
    left, said = take_over(there, HERE)
    assert (left, said) == (there[:1], ["3 runs taken over from first"])


def test_a_run_that_a_process_still_holds_is_left_alone(there: list[PlannedRun]) -> None:
    lock = runs(Path("all/first"))[0].folder.lock()
    assert lock is not None
    with lock:
        assert take_over(there, HERE)[0] == there[:1]


def test_other_code_and_other_settings_are_run(there: list[PlannedRun]) -> None:
    assert len(take_over(runs(Path("all/second"), code="1.0+def"), HERE)[0]) == COUNT
    assert len(take_over(runs(Path("all/second"), steps=7), HERE)[0]) == COUNT
    assert len(take_over(there, None)[0]) == COUNT


def test_one_that_failed_here_is_replaced_and_kept_aside(there: list[PlannedRun]) -> None:
    there[0].folder.begin(there[0].asks())
    there[0].folder.end(1)
    assert take_over(there, HERE)[0] == []
    assert Path("all/second/earlier/one/seed_0/asked.json").is_file()
    assert there[0].state == "finished"


def test_a_copy_that_fails_leaves_nothing(there: list[PlannedRun], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(shutil, "copytree", full)
    assert take_over(there, HERE)[0] == there
    assert not there[0].folder.path.exists()
    assert [run.state for run in there] == ["new"] * COUNT


def test_equal_cells_of_one_experiment_run_once(isolated: Path) -> None:
    planned = [replace(run, settings=runs(Path("all/one"))[0].settings) for run in runs(Path("all/one"))]
    said = list[str]()
    todo, _ = prepare(planned)
    Template(TEMPLATE).start(todo, Settled(2, 1, "small", Path("all/one"), reuse=HERE), said.append)
    assert sum("finished: " in line for line in said) == 2
    assert "run 3 of 4 (two, seed 0): taken over from one/cells/one/seed_0" in said
    write(planned)
    origins = {run["origin"] for run in json.loads(Path("all/one/results.json").read_text())["runs"]}
    assert origins == {"", "one/cells/one/seed_0", "one/cells/one/seed_1"}


def test_seeds_of_earlier_starts_stay_if_they_are_unchanged(there: list[PlannedRun]) -> None:
    whole, first = experiment(), Path("all/first")
    settings = {run.cell.name: run.settings for run in there}
    now = [run for run in runs(first) if run.seed == 1]
    assert [run.name for run in kept(whole, settings, now, first, CODE)] == ["one, seed 0", "two, seed 0"]
    changed = settings | {"one": replace(settings["one"], options={})}
    assert [run.name for run in kept(whole, changed, now, first, CODE)] == ["two, seed 0"]
    assert kept(whole, settings, runs(first), first, CODE) == []
