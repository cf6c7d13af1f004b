"""One run of a configuration under one seed: evaluate, train, evaluate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from qstar_pl.errors import UserError
from qstar_pl.experiments.curve import is_measured
from qstar_pl.run_folders.metrics import NOT_METRICS, read_metrics
from qstar_pl.run_folders.places import METRICS
from qstar_pl.run_folders.settings import read_settings

if TYPE_CHECKING:
    from qstar_pl.experiments.run import Build, Run

Series = dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class SeedResult:
    """The results of one seed."""

    seed: int
    before: dict[str, float]
    """`val/…` metrics of the untrained policy."""
    after: dict[str, float]
    """The same metrics after training."""
    series: Series
    """Training metrics by step."""
    seconds: float
    """Wall time of this seed, evaluation included."""
    name: str = ""
    """What was trained, on what: "QStar on tiny"."""

    def points(self, key: str) -> list[tuple[int, float]]:
        """Return (step, value) pairs in order; for a validation metric with the values before and after training."""
        points = dict(self.series.get(key, []))
        if key in self.before and key in self.after:
            # The two validations outside of training are those at step 0 and after the last step.
            points[0], points[self.last_step] = self.before[key], self.after[key]
        return sorted(points.items())

    @property
    def last_step(self) -> int:
        """The last step that was logged, 0 if none was."""
        return max((step for points in self.series.values() for step, _ in points), default=0)

    def training_mean(self, key: str) -> float:
        """Mean of a training metric over all logged steps."""
        return mean(value for _, value in self.series[key])


def read_series(metrics_csv: Path) -> Series:
    """Return the (step, value) pairs of every metric in a CSVLogger's file.

    Raises:
        UserError: if it cannot be read.

    """
    series: Series = {}
    for row in read_metrics(metrics_csv).rows:
        for key, value in row.items():
            if key not in NOT_METRICS:
                series.setdefault(key, []).append((int(row["step"]), value))
    return series


def run_seed(build: Build, seed: int, config: Path, output: Path, overrides: Sequence[str]) -> SeedResult:
    """Evaluate, train, evaluate.

    Args:
        build: makes a run from the words after `qstar fit`.
        seed: of the run.
        config: its configuration, a YAML file.
        output: folder in which the run gets seed_<seed>.
        overrides: words after the configuration.

    Raises:
        UserError: if the run does not write metrics.csv.

    """
    started = time.perf_counter()
    folder = output / f"seed_{seed}"
    run = build(
        [
            f"--config={config}",
            f"--seed_everything={seed}",
            f"--trainer.default_root_dir={folder}",
            *overrides,
        ]
    )
    from lightning.pytorch.loggers import CSVLogger

    logged = [Path(one.log_dir) / METRICS for one in run.trainer.loggers if isinstance(one, CSVLogger)]
    if not logged:
        raise UserError("trainer.logger must be, or hold, a CSVLogger, whose metrics.csv an experiment reads")
    before = measured(run)
    run.trainer.fit(run.module, run.data)
    after, series = measured(run), read_series(logged[0])
    return SeedResult(seed, before, after, series, time.perf_counter() - started, _name(run, logged[0].parent))


def measured(run: Run) -> dict[str, float]:
    """Return the metrics of the first loader of validation; none where nothing is validated."""
    found = run.trainer.validate(run.module, run.data, verbose=False)
    return {key: value for key, value in found[0].items() if is_measured(key)} if found else {}


def _name(run: Run, folder: Path) -> str:
    method = type(run.module).__name__
    try:
        data = read_settings(folder).data
    except UserError:  # a run without a config.yaml
        data = None
    return method if data is None else f"{method} on {data}"
