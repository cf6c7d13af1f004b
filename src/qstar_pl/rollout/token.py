"""One token of every row: from what the models say to what is drawn and known of it.

The seam of the decode loop: a function of tensors in the shapes of its arguments, so that another one (compiled, or a
single kernel) can stand in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from qstar_pl.qstar.deferred import current
from qstar_pl.rollout.divergence import divergence
from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.rollout.law import POLICY, Law, Mixed
from qstar_pl.rollout.truncation import Truncation


class Drawn(NamedTuple):
    """One token of n rows."""

    ids: Tensor
    """[n] int64."""
    columns: dict[str, Tensor]
    """[n] each: what the float columns of the rollout say of the token, by name."""


Draw = Callable[[Mapping[str, Tensor], Tensor], Drawn]
"""Given the logits [n, vocab] of each of the law's roles and uniform numbers [n] float64 in [0, 1).

Rows do not depend on each other. Checks are made at once, or noted where `qstar.deferred` says so; then nothing may be
asked of a tensor.
"""


def drawing(law: Law, truncation: Truncation, *seen: Callable[[Tensor], None]) -> Draw:
    """Return the function that draws a token of every row from `law`, operation by operation.

    Each of `seen` is shown the law [n, vocab] that the tokens are drawn from.
    """

    def draw(logits: Mapping[str, Tensor], uniforms: Tensor) -> Drawn:
        # Most of some 300 operations are on a number per row, where what torch does around them is what they cost; this
        # mode does least. It stays off where the function is traced, which is where checks are noted.
        with torch.inference_mode() if current() is None else nullcontext():
            return drawn(logits, uniforms)

    def drawn(logits: Mapping[str, Tensor], uniforms: Tensor) -> Drawn:
        logprobs = {role: said.log_softmax(-1) for role, said in logits.items()}
        mixed = law(logprobs)
        law_logprobs = truncation(mixed.logprobs)
        for see in seen:
            see(law_logprobs)
        law_probs = law_logprobs.softmax(-1)  # one fused loop, faster on a CPU than exp
        ids = inverse_cdf(law_probs, uniforms)
        return Drawn(ids, token_columns(ids, logprobs, mixed, law_logprobs, law_probs))

    return draw


def token_columns(
    ids: Tensor, logprobs: Mapping[str, Tensor], mixed: Mixed, law_logprobs: Tensor, law_probs: Tensor
) -> dict[str, Tensor]:
    """Return all that is known of n drawn tokens, [n] by the name of the column.

    Args:
        ids: [n].
        logprobs: [n, vocab] of each of the law's roles.
        mixed: what the law made of them.
        law_logprobs: [n, vocab] log q after truncation: what the tokens were drawn from.
        law_probs: [n, vocab] q.

    """
    index = ids.unsqueeze(-1)
    columns = {
        "behavior_logprobs": law_logprobs.gather(-1, index).squeeze(-1),
        "alpha": mixed.alpha,
        "log_z": mixed.log_z,
    }
    for role, said in logprobs.items():
        columns[f"{role}_logprobs"] = said.gather(-1, index).squeeze(-1)
        far = divergence(said, law_logprobs, law_probs)
        columns |= {f"kl_behavior_{role}": far.kl, f"ess_{role}": far.ess}
        if role == POLICY:
            columns["uncovered_mass"] = far.uncovered
    return columns
