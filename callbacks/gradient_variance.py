"""Variance of the gradient, from the micro-steps of one optimizer step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from qstar_pl.types import StepReport

from .diagnostic import Diagnostic
from .gradient_norms import local_gradient, parameters_of, share, squared_norm
from .reductions import mean_of, present


class GradientDiagnostic(Diagnostic):
    """Norm, variance and signal-to-noise ratio of the gradient, before clipping.

    Let g_m be the gradient of micro-step m = 1…M of an optimizer step, averaged over ranks, ḡ their mean, and bars
    over an expression its mean over the optimizer steps of the window:

    - `grad/norm` = √ mean ‖g‖² of the gradient that the optimizer receives, before clipping
    - `grad/variance` = mean tr Cov,  tr Cov = (Σ‖g_m‖² − M‖ḡ‖²)/(M − 1): unbiased variance of one micro-step
    - `grad/snr` = mean G² / mean tr Cov,  G² = ‖ḡ‖² − tr Cov/M: unbiased estimate of the squared true gradient, so
      the ratio can be negative where the noise hides the signal
    - `grad/noise_scale` = B / `grad/snr`, B = samples per micro-step over all ranks: the batch size at which noise
      and signal are equal, tr Σ/‖G‖² (McCandlish et al., arXiv 1812.06162, eq. 2.9, A.2–3). Absent where G² ≤ 0.

    With accumulate_grad_batches < 2 there is nothing to take a variance of, and only `grad/norm` is logged. Under
    manual optimization a method whose step has several backward passes (PPO with `micro_batch_size`) says so with the
    attribute `answers_per_backward`; their losses must add up to that of the step, so that M times each one's gradient
    is g_m. PPO deals answers out at random: answers to one prompt may be in several of its micro-steps.

    Sharded gradients (FSDP) are reduced over ranks after every micro-step: their norms are summed from the shards.
    Under DDP the gradients of the R ranks stay local until the last micro-step, where they arrive already averaged. The
    mean square is then taken over the R(M−1) gradients that are seen, which leaves tr Cov unbiased,
    tr Cov = 1/R · (mean ‖g_rm‖² − ‖ḡ‖²) · RM/(RM − 1).

    The last step of an epoch may have fewer micro-steps than the others: M is then their number.

    The cost is a buffer as large as the gradient (none if accumulate_grad_batches is 1), and three passes over it per
    micro-step. Gradients in bfloat16 are differenced in bfloat16.

    Args:
        every_n_steps: measure the variance in every n-th optimizer step only; `grad/norm` is always measured.
        prog_bar: no effect, since nothing is shown in the progress bar.

    """

    def __init__(self, every_n_steps: int = 1, prog_bar: bool = False) -> None:
        super().__init__(prog_bar)
        self.every_n_steps = max(1, every_n_steps)
        self._forget()

    def _forget(self) -> None:
        self._previous: dict[Parameter, Tensor] = {}
        self._shares: dict[Parameter, float] = {}
        self._start_step()

    def _start_step(self) -> None:
        self._micro_steps = 0
        self._seen: Tensor | None = None
        self._last: Tensor | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """See `Diagnostic.setup`."""
        super().setup(trainer, pl_module, stage)
        self._forget()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Free the buffer."""
        self._forget()

    @torch.no_grad()
    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the gradient of this micro-step: what the backward pass added to the accumulated one.

        Lightning calls callbacks before the module, whose own hook may rescale the gradient.
        """
        if not _accumulates(trainer, pl_module):
            return
        if trainer.global_step % self.every_n_steps:
            return
        gradients = self._local_gradients(trainer, trainer.optimizers[0])  # a method has only one
        if not gradients:
            return
        # Gradients that are not reduced yet are all different: each rank's counts whole.
        shares = dict.fromkeys(gradients, 1.0) if _is_local_until_step(trainer) else self._shares
        # The last micro-step stays apart from the others: under DDP it has no gradient of its own (`_estimates`).
        if self._last is not None:
            self._seen = self._last if self._seen is None else self._seen + self._last
        added = gradients if self._micro_steps == 0 else self._subtract(gradients)
        self._last = squared_norm(added, shares)
        self._remember(gradients)
        self._micro_steps += 1

    def _local_gradients(self, trainer: Trainer, optimizer: Optimizer) -> dict[Parameter, Tensor]:
        parameters = parameters_of([optimizer])
        for parameter in parameters:
            if parameter not in self._shares:  # how a parameter is sharded does not change
                self._shares[parameter] = share(trainer, parameter)
        return {parameter: local_gradient(parameter) for parameter in parameters}

    def _subtract(self, gradients: Mapping[Parameter, Tensor]) -> dict[Parameter, Tensor]:
        """Turn the buffer into previous − now, in place (a norm ignores the sign); `_remember` fills it again."""
        added: dict[Parameter, Tensor] = {}
        for parameter, gradient in gradients.items():
            previous = self._previous.get(parameter)
            added[parameter] = gradient if previous is None else previous.sub_(gradient)
        return added

    def _remember(self, gradients: Mapping[Parameter, Tensor]) -> None:
        if self._micro_steps == 0:
            # Otherwise a parameter that is used only later in the step would be differenced with the step before.
            self._previous = {p: buffer for p, buffer in self._previous.items() if p in gradients}
        for parameter, gradient in gradients.items():
            if parameter in self._previous:
                self._previous[parameter].copy_(gradient)
            else:
                self._previous[parameter] = gradient.clone()

    @torch.no_grad()
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measure the accumulated gradient; Lightning clips it only after this hook."""
        gradients = self._local_gradients(trainer, optimizer)
        if not gradients:  # a step that is left out
            self._start_step()
            return
        # Each rank adds its share of a count, so that counts are those of the whole.
        part = 1.0 / trainer.world_size
        norm = squared_norm(gradients, self._shares)
        self.add("norm_squares", norm)
        self.add("steps", part)
        if self._micro_steps >= 2:
            automatic = pl_module.automatic_optimization
            divisor = trainer.accumulate_grad_batches if automatic else self._micro_steps
            variance, signal = self._estimates(trainer, divisor)
            self.add("variance", variance)
            self.add("signal", signal)
            self.add("measured", part)
        self._start_step()

    def _estimates(self, trainer: Trainer, divisor: float) -> tuple[Tensor, Tensor]:
        """Return this rank's parts of tr Cov and of G²; both are linear in squared norms, so parts add up.

        Args:
            trainer: whose gradients they are.
            divisor: what each micro-step's own loss was divided by.

        """
        assert self._seen is not None
        assert self._last is not None
        # Lightning divides each loss by accumulate_grad_batches, even in an epoch's last step, which may have fewer.
        # What is done to the gradient after the backward pass does not matter: the buffer holds what was accumulated.
        accumulated = squared_norm(self._previous, self._shares)
        count, ranks = self._micro_steps, trainer.world_size
        if _is_local_until_step(trainer):
            units, seen, squares = ranks * count, ranks * (count - 1), self._seen
        else:
            units, seen, squares, ranks = count, count, self._seen + self._last, 1
        if (scaler := getattr(trainer.precision_plugin, "scaler", None)) is not None:
            divisor = divisor / scaler.get_scale()  # float16: the gradients seen are still times the loss scale
        mean_square = squares * (divisor**2 / seen)
        square_of_mean = accumulated * (divisor / count) ** 2
        variance = (mean_square - square_of_mean) * (units / (units - 1))
        return variance / ranks, square_of_mean - variance / units

    def observe(self, trainer: Trainer, report: StepReport) -> None:
        """See `Observer.observe`."""
        part = getattr(getattr(trainer, "lightning_module", None), "answers_per_backward", None)
        self.add("samples", float(report.samples if part is None else min(part, report.samples)))
        self.add("micro_steps", 1.0 / trainer.world_size)

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        norm_square = mean_of(stats, "norm_squares", "steps")
        variance = mean_of(stats, "variance", "measured")
        metrics = {"grad/norm": None if norm_square is None else math.sqrt(norm_square), "grad/variance": variance}
        snr = mean_of(stats, "signal", "variance")
        samples = mean_of(stats, "samples", "micro_steps")
        metrics["grad/snr"] = snr
        if snr is not None and snr > 0 and samples:
            metrics["grad/noise_scale"] = samples / snr
        return present(metrics)


def _accumulates(trainer: Trainer, module: LightningModule) -> bool:
    """Return whether a step may have several backward passes."""
    if module.automatic_optimization:
        return trainer.accumulate_grad_batches >= 2
    return getattr(module, "answers_per_backward", None) is not None


def _is_local_until_step(trainer: Trainer) -> bool:
    """Whether the ranks hold different gradients until the last micro-step (Lightning accumulates in DDP's no_sync)."""
    return trainer.world_size > 1 and isinstance(trainer.strategy, DDPStrategy)
