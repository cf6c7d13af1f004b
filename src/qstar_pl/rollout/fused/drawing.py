"""Which laws the kernel draws from, and whether it can run: the decode loop's other way to a token."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from qstar_pl.qstar import AlphaStatus, FixedAlpha, KLSymmetricAlpha
from qstar_pl.qstar.solution import refuse_disjoint
from qstar_pl.rollout.fused.draw import DTYPES, Launched, draw
from qstar_pl.rollout.law import POLICY, TARGET, Geometric, Law
from qstar_pl.rollout.token import Draw, Drawn
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.rollout.truncation import Truncation


@dataclass(frozen=True)
class FusedLaw:
    """A law as the kernel takes it: the mixture at a fixed α or at α*, at a temperature."""

    fixed: float | None
    """α, or None for the α* of `symmetric`."""
    symmetric: KLSymmetricAlpha
    """Tolerance, most passes, and what is done with rows whose laws share no token."""
    temperature: float

    def launch(self, policy_logits: Tensor, target_logits: Tensor, uniforms: Tensor) -> Launched:
        """Draw from it; see `draw`."""
        return draw(
            policy_logits,
            target_logits,
            uniforms,
            alpha=self.fixed,
            tol=self.symmetric.tol,
            max_iter=self.symmetric.max_iter,
            fallback=1.0 if self.symmetric.on_disjoint == "policy" else 0.0,
            temperature=self.temperature,
        )

    def __call__(self, logits: Mapping[str, Tensor], uniforms: Tensor) -> Drawn:
        """See `Draw`."""
        said = self.launch(logits[POLICY], logits[TARGET], uniforms)
        if self.fixed is not None or self.symmetric.on_disjoint == "raise":
            refuse_disjoint(said.status == AlphaStatus.DISJOINT)
        if self.fixed is None:
            self.symmetric.report(said.converged > 0)
        return Drawn(said.token, dict(zip(COLUMNS, said.columns, strict=True)))


def fused_law(law: Law, truncation: Truncation) -> FusedLaw | None:
    """Return the law as the kernel takes it; None for all others, which are drawn operation by operation."""
    # Exactly these classes: one that inherits from them may choose α in another way.
    if truncation.cuts or type(law) is not Geometric:
        return None
    alpha = law.alpha
    if type(alpha) is FixedAlpha:
        return FusedLaw(alpha.value, KLSymmetricAlpha(), truncation.temperature)
    if type(alpha) is KLSymmetricAlpha and alpha.solver != "bisection":
        return FusedLaw(None, alpha, truncation.temperature)
    return None


def fused_drawing(law: Law, truncation: Truncation, logits: Mapping[str, Tensor]) -> Draw | None:
    """Return the function that draws with the kernel; None where it does not draw from such a law, or cannot run.

    Args:
        law: q.
        truncation: of q.
        logits: [rows, vocab] of each of the law's roles, as the function will get them; on CUDA.

    """
    taken = fused_law(law, truncation)
    if taken is None or any(said.device.type != "cuda" or said.dtype not in DTYPES for said in logits.values()):
        return None
    policy, target = logits[POLICY], logits[TARGET]
    return taken if runs(taken, policy.device, policy.dtype, target.dtype, policy.shape[-1]) else None


@cache
def runs(law: FusedLaw, device: torch.device, policy: torch.dtype, target: torch.dtype, vocab: int) -> bool:
    """Draw once from equal logits, which also compiles the kernel; print a notice, once, if that does not work."""
    flat = [torch.zeros(1, vocab, device=device, dtype=dtype) for dtype in (policy, target)]
    try:
        middle = vocab // 2
        uniforms = torch.full((1,), (middle + 0.5) / vocab, device=device, dtype=torch.float64)
        said = law.launch(flat[0], flat[1], uniforms)
        if int(said.token) == middle:
            return True
        reason = f"it draws token {int(said.token)} for {middle}"
    except Exception as error:  # whatever a compiler or a driver has to say
        reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    print(f"notice: the fused kernel is not used ({reason}); tokens are drawn operation by operation", file=sys.stderr)
    return False
