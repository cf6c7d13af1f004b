"""Draw a token per row with one launch: the kernel as a function of tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.rollout.trace import COLUMNS

BLOCK = 4096
"""Tokens that a program reads at a time; a row's blocks are drawn from first, and then a token of one of them."""
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Launched:
    """A token per row, and what is known of it."""

    token: Tensor
    """[rows] int64."""
    columns: Tensor
    """[len(COLUMNS), rows] float32 in the order of `rollout.trace.COLUMNS`; log q is NaN where a model's logits are
    no numbers."""
    status: Tensor
    """[rows] int32, an `AlphaStatus`; a DISJOINT row was drawn from its fallback."""
    passes: Tensor
    """[rows] int32: evaluations over the vocabulary."""
    converged: Tensor
    """[rows] int32, 0 where `max_iter` ran out."""


def draw(
    policy_logits: Tensor,
    target_logits: Tensor,
    uniforms: Tensor,
    *,
    alpha: float | None = None,
    tol: float = 1e-3,
    max_iter: int = 20,
    fallback: float = 0.0,
    temperature: float = 1.0,
    block: int = BLOCK,
) -> Launched:
    """Draw from π_θ^α π_t^(1−α)/Z, each row at its own α* unless `alpha` is given.

    Args:
        policy_logits: [rows, vocab] float32 or half precision, vocabulary adjacent in memory; log-probabilities up to a
            constant per row.
        target_logits: [rows, vocab] of π_t, likewise.
        uniforms: [rows] float64 in [0, 1), as `inverse_cdf` takes them.
        alpha: exponent of the policy in [0, 1]; None solves D(q‖π_θ) = D(q‖π_t) as `solve_kl_symmetry` does.
        tol: largest error of α*.
        max_iter: most evaluations per row.
        fallback: α of rows whose laws share no token; `Launched.status` tells which those are.
        temperature: the token is drawn from q^(1/temperature), renormalized.
        block: tokens that are read at a time, a power of two.

    """
    import triton

    from qstar_pl.rollout.fused.kernel import draw_kernel

    rows, vocab = policy_logits.shape
    device = policy_logits.device
    policy_logits, target_logits = (x if x.stride(-1) == 1 else x.contiguous() for x in (policy_logits, target_logits))
    token = torch.empty(rows, dtype=torch.int64, device=device)
    columns = torch.empty(len(COLUMNS), rows, dtype=torch.float32, device=device)
    facts = torch.empty(3, rows, dtype=torch.int32, device=device)
    block = min(block, triton.next_power_of_2(vocab))
    if rows == 0:
        return Launched(token, columns, *facts)
    with torch.cuda.device_of(policy_logits):  # the one that Triton launches on
        draw_kernel[(rows,)](
            policy_logits,
            target_logits,
            policy_logits.stride(0),
            target_logits.stride(0),
            uniforms.contiguous(),
            token,
            columns,
            facts,
            rows,
            vocab,
            0.5 if alpha is None else float(alpha),
            tol,
            max_iter,
            fallback,
            float(temperature),
            SOLVE=alpha is None,
            TEMPERED=temperature != 1,
            BLOCK=block,
            BLOCKS=triton.next_power_of_2(triton.cdiv(vocab, block)),
            num_warps=max(1, min(16, block // 256)),
        )
    return Launched(token, columns, *facts)
