"""The last moments of a run: stopped before any step of the merge, it ends in the same files."""

import shutil
from pathlib import Path

import pytest
from small_generation import contents, run_small

from qstar_pl.errors import UserError

STEPS = ("replace", "rmtree")


class Stopped(BaseException):
    """As a kill: nothing catches it."""


def steps(monkeypatch: pytest.MonkeyPatch, stop_at: int | None = None) -> list[str]:
    """Count the steps that change a name on the disk; stop before step `stop_at`."""
    taken: list[str] = []

    def counted(name, original):
        def call(*args, **kwargs):
            if len(taken) == stop_at:
                raise Stopped
            taken.append(name)
            return original(*args, **kwargs)

        return call

    monkeypatch.setattr(Path, "replace", counted("replace", Path.replace))
    monkeypatch.setattr(shutil, "rmtree", counted("rmtree", shutil.rmtree))
    return taken


def test_a_run_stopped_before_any_step_goes_on(isolated, monkeypatch):
    options = {"save_diagnostics": "tokens", "end_idx": 4}
    taken = steps(monkeypatch)
    run_small("whole.jsonl", **options)
    assert taken.count("rmtree") == 1
    assert taken.count("replace") >= 6, "identity twice, tokens, diagnostics, run.json, rows"
    wanted = contents(Path("whole.jsonl").absolute())
    for number in range(len(taken)):
        monkeypatch.undo()
        monkeypatch.chdir(isolated)
        steps(monkeypatch, stop_at=number)
        with pytest.raises(Stopped):
            run_small(f"{number}.jsonl", **options)
        monkeypatch.undo()
        monkeypatch.chdir(isolated)
        run_small(f"{number}.jsonl", **options)
        assert contents(Path(f"{number}.jsonl").absolute()) == wanted, number


def test_what_a_finished_run_left_is_swept(isolated):
    run_small()
    Path("out.jsonl.work").mkdir()
    assert run_small().kept_rows == 20
    assert not Path("out.jsonl.work").exists()


def test_a_run_that_lacks_a_batch_is_not_merged(isolated):
    run_small(trainer_options={"limit_predict_batches": 3})
    assert not Path("out.jsonl").exists()
    Path("out.jsonl").write_text("x")
    with pytest.raises(UserError, match="did not write"):
        run_small()
