"""The runs of an experiment, and what is to be done about each."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qstar_pl.experiments.matrix import Cell, Experiment, Settings
from qstar_pl.experiments.running.run_folder import Asked, RunFolder, seeds_in

START, START_PATH = "--model.policy=FromCheckpoint", "--model.policy.path"
"""What a later stage is told: π_θ, and π_init with it, is what the stage before has come to."""
State = Literal["finished", "failed", "running", "stopped", "changed", "new"]


@dataclass(frozen=True)
class PlannedRun:
    """One cell with one seed."""

    cell: Cell
    seed: int
    folder: RunFolder
    settings: Settings
    code: str
    base: PlannedRun | None = None
    """The run from whose last checkpoint it starts; None: from its own model."""

    @property
    def name(self) -> str:
        """As it is called in messages."""
        return f"{self.cell.name}, seed {self.seed}"

    @property
    def equal(self) -> tuple[str, int]:
        """The same for runs that come to the same numbers."""
        return self.settings.digest, self.seed

    @property
    def words(self) -> list[str]:
        """The words after `qstar`: it begins, or goes on where it was killed."""
        place = [f"--seed_everything={self.seed}", f"--name={self.folder.name}"]
        place += [f"--trainer.default_root_dir={self.folder.root}", "--ckpt_path=auto"]
        start = [] if self.base is None else [START, f"{START_PATH}={self.base.folder.last_checkpoint}"]
        return ["fit", *self.cell.words, *start, *place]

    @property
    def samples_asked(self) -> float | None:
        """How many it takes by itself, if its budget is shared with other stages; None of a run without stages."""
        return self.settings.samples() if self.base is not None or self.cell.is_stage else None

    @property
    def command(self) -> str:
        """The command that repeats it."""
        return shlex.join(["qstar", *self.words])

    @property
    def argv(self) -> list[str]:
        """The process that runs it, in this process's environment."""
        return [sys.executable, "-m", "qstar_pl", *self.words]

    @property
    def state(self) -> State:
        """What its folder shows."""
        asked = self.folder.asked
        if asked is None:
            return "new"
        if self.folder.is_alive():
            return "running"
        if self.is_changed:
            return "changed"
        code = self.folder.exit
        return "stopped" if code is None else "finished" if code == 0 else "failed"

    @property
    def is_changed(self) -> bool:
        """Whether what was run in its folder, or still runs there, had other settings."""
        asked = self.folder.asked
        return asked is not None and asked.digest != self.settings.digest

    def put_aside(self) -> str:
        """Move what was run before out of the way; return a line that says why, and where it is now."""
        asked = self.folder.asked
        why = self.why_changed() or f"code {asked.code if asked else ''} → {self.code}"
        return f"{self.name} is run anew: {why}; the old one is kept in {self.folder.put_aside()}"

    def why_changed(self) -> str:
        """Return what differs from what was run before."""
        asked = self.folder.asked
        return "" if asked is None else self.settings.changed(asked.settings)

    def asks(self, job: str | None = None) -> Asked:
        """Return what it is asked to do now."""
        return Asked(self.settings.digest, self.settings.options, self.code, self.command, job=job)


def plan(
    experiment: Experiment, settings: Mapping[str, Settings], seeds: Iterable[int], output: Path, code: str
) -> list[PlannedRun]:
    """Return the runs, seed by seed, so that after any time all cells have come about equally far.

    Args:
        experiment: whose cells are run.
        settings: of each cell, by its name.
        seeds: of the runs.
        output: folder of the experiment.
        code: version of the package.

    """
    found = list[PlannedRun]()
    for seed in seeds:
        named = dict[str, PlannedRun]()
        for cell in experiment.cells:
            base = None if cell.after is None else named[cell.after]
            folder = RunFolder(output, cell.name, seed)
            named[cell.name] = PlannedRun(cell, seed, folder, settings[cell.name], code, base)
        found += named.values()
    return found


def kept(
    experiment: Experiment, settings: Mapping[str, Settings], runs: Sequence[PlannedRun], output: Path, code: str
) -> list[PlannedRun]:
    """Return what has finished with other seeds, and is unchanged: it stays in the results.

    Args:
        experiment: whose cells were run.
        settings: of each cell, by its name.
        runs: with the seeds that are asked for now.
        output: folder of the experiment.
        code: version of the package.

    """
    found = {seed for cell in experiment.cells for seed in seeds_in(output, cell.name)}
    others = sorted(found - {run.seed for run in runs})
    return [run for run in plan(experiment, settings, others, output, code) if run.state == "finished"]


def prepare(runs: Sequence[PlannedRun], again: bool = False) -> tuple[list[PlannedRun], list[str]]:
    """Return the runs that are to be started, and what there is to say about those that ran before.

    What has changed is put aside first, and a run that died before it had saved anything begins anew.

    Args:
        runs: of the experiment.
        again: also run anew what ran with another version of the code.

    """
    todo, said, other_code = list[PlannedRun](), list[str](), dict[str, int]()
    for run in runs:
        state, asked = run.state, run.folder.asked
        aged = state == "finished" and asked is not None and asked.code != run.code
        if state == "changed" or (aged and again):
            said.append(run.put_aside())
        elif aged and asked is not None:
            other_code[asked.code] = other_code.get(asked.code, 0) + 1
        if state != "finished" or (aged and again):
            if state in ("failed", "stopped"):
                run.folder.clear_unsaved()
            todo.append(run)
    for code, count in other_code.items():
        said.append(f"{count} finished runs are of code {code}, now {runs[0].code}; --again runs them anew")
    return todo, said
