"""A run that is forked comes to the same numbers as one in a process of its own."""

import csv
from pathlib import Path

import pytest

from qstar_pl.experiments.matrix import Cell, Settings
from qstar_pl.experiments.running import launcher
from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.experiments.running.run_folder import RunFolder

WORDS = (
    "--config=experiment/tiny_q_star",
    "--trainer.max_steps=2",
    "--trainer.log_every_n_steps=1",
    "--trainer.limit_val_batches=1",
    "--data.batch_size=2",
    "--model.sampler.max_new_tokens=8",
)
CLOCKS = ("time/", "tokens/per_s", "samples/per_s", "memory/")


def run(place: str) -> PlannedRun:
    cell = Cell("q", {"method": "q"}, WORDS)
    return PlannedRun(cell, 5, RunFolder(Path(place), "q", 5), Settings({"words": list(WORDS)}), "1.0")


def logged(one: PlannedRun) -> list[dict[str, str]]:
    assert one.folder.exit == 0, one.folder.log.read_text()
    assert one.folder.metrics is not None
    with one.folder.metrics.open(newline="") as file:
        return [{k: v for k, v in row.items() if not k.startswith(CLOCKS)} for row in csv.DictReader(file)]


def test_forked_and_fresh_runs_come_to_the_same_numbers(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forked, fresh = run("forked"), run("fresh")
    settled = launcher.Settled(1, 1, "small", Path("forked"))
    launcher.Local().start([forked], settled, print)
    monkeypatch.setattr(launcher, "_may_fork", lambda: False)
    launcher.Local().start([fresh], settled, print)
    assert logged(forked) == logged(fresh)
    assert len(logged(fresh)) >= 2
    ours, theirs = forked.folder.log.read_text(), fresh.folder.log.read_text()
    assert len(ours.splitlines()) == len(theirs.splitlines()), (ours, theirs)
