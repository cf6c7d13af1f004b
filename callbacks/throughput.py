"""How fast training goes, and how much data and time it has used: the x-axes of learning curves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from qstar_pl.types import StepReport

from .diagnostic import Diagnostic
from .diagnostics import WINDOWS
from .metrics_bus import log_interval
from .reductions import MAX, SUM, pack

COUNTS = ("samples", "tokens", "generated")
"""The statistics that are sums over answers and tokens."""


class ThroughputDiagnostic(Diagnostic):
    """Time, samples and tokens of training; validation's time is left out.

    Counts are sums over all ranks. A window ends when the statistics have reached the host, so a true time needs no
    extra synchronization.

    - `time/step_s` = seconds of the window / optimizer steps in it
    - `tokens/per_s` = completion tokens trained on in the window / its seconds
    - `samples/total` = answers drawn (kept or not), or pairs, or demonstrations so far
    - `tokens/total` = completion tokens trained on so far, once per pass
    - `generated/total` = completion tokens sampled so far; 0 for methods that learn from data
    - `time/wall_s` = seconds of training so far

    The last four are the x-axes of learning curves at equal budget; see `StepReport` for what counts. Rows of
    validation have them too, as of their own step: 0 before the first, a checkpoint's where one is measured.

    The totals and the unfinished window are part of the checkpoint: a resumed run continues them.

    Args:
        prog_bar: no effect, since nothing is shown in the progress bar.

    """

    counts_all: ClassVar[bool] = True

    def __init__(self, prog_bar: bool = False) -> None:
        super().__init__(prog_bar)
        self._begin()

    def _begin(self) -> None:
        self._samples, self._tokens, self._generated, self._wall_s = 0.0, 0.0, 0.0, 0.0
        self._window_s = 0.0
        self._window_step: int | None = None
        self._clock: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the clock run."""
        if trainer.global_step == 0:  # another fit with the same callback; a resumed run has its totals by now
            self._begin()
        if self._window_step is None:
            self._window_step = trainer.global_step
        self._clock = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._stop()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the module what was spent so far, which it logs beside what it has measured."""
        if hasattr(pl_module, "spent") and not trainer.sanity_checking and log_interval(trainer) > 0:
            setattr(pl_module, "spent", self.spent(trainer))  # noqa: B010 (not every LightningModule has it)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the clock run again, unless it was the check before training."""
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            self._clock = time.perf_counter()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop the clock."""
        self._stop()

    def spent(self, trainer: Trainer) -> dict[str, float]:
        """Return the totals over all ranks up to now, those since the last log included; every rank must call it."""
        window = pack(
            self.accumulators.entries, tuple((name, SUM.name) for name in COUNTS), trainer.strategy.root_device
        )
        summed = trainer.strategy.reduce(window, reduce_op="sum")
        assert isinstance(summed, Tensor)
        samples, tokens, generated = summed.tolist()
        return {
            "samples/total": self._samples + samples,
            "tokens/total": self._tokens + tokens,
            "generated/total": self._generated + generated,
            "time/wall_s": self._wall_s + self._elapsed(),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Where a checkpoint is measured, take the window that it was saved in; in a fit, its owner does."""
        if trainer.state.fn == "fit":
            return
        self.accumulators.clear()
        if trainer.is_global_zero:
            for name, (_, of_ranks) in checkpoint.get(WINDOWS, {}).get(self.state_key, {}).items():
                if name in COUNTS:
                    self.add(name, float(sum(of_ranks)))

    def _elapsed(self) -> float:
        """Return the seconds of the present window."""
        return self._window_s + (0.0 if self._clock is None else time.perf_counter() - self._clock)

    def _stop(self) -> None:
        self._window_s, self._clock = self._elapsed(), None

    def observe(self, trainer: Trainer, report: StepReport) -> None:
        """See `Observer.observe`."""
        self.add("samples", float(report.samples))
        self.add("tokens", float(report.tokens))
        self.add("generated", float(report.generated))

    def before_flush(self, trainer: Trainer) -> None:
        """See `Observer.before_flush`."""
        self.add("step", float(trainer.global_step), MAX)  # `compute` does not get the trainer

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        seconds, step = self._elapsed(), int(stats["step"])
        # This is where the window ends: the totals below include it, and the clock starts anew.
        steps, tokens = step - (self._window_step or 0), stats.get("tokens", 0.0)
        self._samples += stats.get("samples", 0.0)
        self._tokens += tokens
        self._generated += stats.get("generated", 0.0)
        self._wall_s += seconds
        self._window_s, self._window_step = 0.0, step
        self._clock = time.perf_counter()
        metrics = {
            "samples/total": self._samples,
            "tokens/total": self._tokens,
            "generated/total": self._generated,
            "time/wall_s": self._wall_s,
        }
        if steps > 0 and seconds > 0:
            metrics |= {"time/step_s": seconds / steps, "tokens/per_s": tokens / seconds}
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Return the totals up to the last log and how far the unfinished window has come."""
        return {
            "samples": self._samples,
            "tokens": self._tokens,
            "generated": self._generated,
            "wall_s": self._wall_s,
            "window_s": self._elapsed(),
            "window_step": self._window_step,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._begin()
        self._samples, self._tokens = state_dict["samples"], state_dict["tokens"]
        self._generated = state_dict["generated"]
        self._wall_s, self._window_s = state_dict["wall_s"], state_dict["window_s"]
        self._window_step = state_dict["window_step"]
