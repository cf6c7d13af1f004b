"""Warn, or stop, when training leaves the range in which its numbers mean something."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError

from .diagnostic import Diagnostic
from .metrics_bus import MetricsListener

Range = tuple[float, float]


class Guards(Callback, MetricsListener):
    """Checks the logged metrics, on every rank alike, at each logging step (so after `log_every_n_steps` at most).

    A range is open, (low, high): low < value < high is fine. A metric that a method does not log is not checked.
    Nor are `alpha/mean` and `ess/ratio` where α is exactly 0 or 1 at every token: the sampler is then one of the
    policies by choice (PPO, off-policy), and no mixture has left its range.
    A `loss/total` that is not finite always stops the run, with an error, since nothing after it can be right; this
    project's methods stop even earlier, before the step is taken.

    Args:
        alpha: range of `alpha/mean`; near 0 or 1 the mixture is one of the policies.
        ess_ratio: range of `ess/ratio`; outside, q serves one policy at the cost of the other.
        loss: range of `loss/total`.
        metrics: range of any other metric, by its name: ``{"mismatch/logprob_mean": (-1, 0.05)}``.
        action: "warn" and go on, or "stop" training after the step (checkpoints and loggers end properly).
        repeat: warn at the first of every `repeat` occurrences of the same violation.

    Raises:
        UserError: if a range is empty or `repeat` is below 1, or, while training, if the loss is not finite.

    """

    def __init__(
        self,
        alpha: Range | None = (0.1, 0.9),
        ess_ratio: Range | None = (0.5, 2.0),
        loss: Range | None = None,
        action: Literal["warn", "stop"] = "warn",
        repeat: int = 100,
        metrics: dict[str, Range] | None = None,
    ) -> None:
        others = metrics or {}
        for name, limits in {"alpha": alpha, "ess_ratio": ess_ratio, "loss": loss, **others}.items():
            if limits is not None and not limits[0] < limits[1]:
                raise UserError(f"{name} must be a range (low, high) with low < high, got {tuple(limits)}")
        if action not in ("warn", "stop"):
            raise UserError(f'action must be "warn" or "stop", got {action!r}')
        at_least(1, repeat=repeat)
        ranges = {"alpha/mean": alpha, "ess/ratio": ess_ratio, "loss/total": loss, **others}
        self.ranges = {key: limits for key, limits in ranges.items() if limits is not None}
        self.action = action
        self.repeat = repeat
        self._occurrences: Counter[str] = Counter()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count; warn if there is nothing to watch."""
        self._occurrences.clear()
        if not any(isinstance(callback, Diagnostic) for callback in trainer.callbacks):  # type: ignore[attr-defined]
            rank_zero_warn("Guards has nothing to watch: the trainer has no diagnostics among its callbacks.")

    def on_metrics(self, trainer: Trainer, pl_module: LightningModule, metrics: Mapping[str, float], step: int) -> None:
        """See `MetricsListener.on_metrics`."""
        loss = metrics.get("loss/total", 0.0)
        if not math.isfinite(loss):
            raise UserError(
                f"loss/total must be finite, got {loss} at step {step}: training has diverged. A lower learning rate, "
                "gradient clipping or clipped importance weights may help."
            )
        # Chained: min equals max, and that is 0 or 1.
        unmixed = metrics.get("alpha/min") == metrics.get("alpha/max") in (0.0, 1.0)
        for key, (low, high) in self.ranges.items():
            if unmixed and key in ("alpha/mean", "ess/ratio"):
                continue
            value = metrics.get(key)
            if value is not None and not low < value < high:
                self._react(trainer, f"{key} left ({low:g}, {high:g}): {value:.4g} at step {step}", key)

    def _react(self, trainer: Trainer, message: str, key: str) -> None:
        if self.action == "stop":
            trainer.should_stop = True
            rank_zero_info(f"Stopping: {message}")
            return
        self._occurrences[key] += 1
        if (self._occurrences[key] - 1) % self.repeat == 0:
            rank_zero_warn(f"{message} (seen {self._occurrences[key]}×)")
