"""Accept with min(1, q/p), else draw from what p gives too little of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.samplers.couplings.coupling import Coupling, Settled


@dataclass(frozen=True)
class Rejection(Coupling):
    """A draft y of p is kept with probability min(1, q(y)/p(y)), else a token is drawn from (q − p)₊ (Leviathan et al.
    2023, arXiv 2211.17192, Algorithm 1; Chen et al. 2023, arXiv 2302.01318).

    No coupling accepts more often: 1 − TV(p, q). Its texts are others than plain decoding's, of the same law, and
    others with another drafter. Whether a rollout drafts at all is decided before it, by the times that earlier ones
    took (`SpeculativeSampler.mode`), so texts may differ between two runs.
    """

    @property
    def purposes(self) -> tuple[str, ...]:
        """See `Coupling.purposes`: with one stream for two of them, what is drawn would not follow q."""
        return ("draft", "accept", "residual")

    @property
    def uses_draft_probs(self) -> bool:
        """See `Coupling.uses_draft_probs`."""
        return True

    def propose(self, draft_probs: Tensor, numbers: Mapping[str, Tensor]) -> Tensor:
        """See `Coupling.propose`."""
        return inverse_cdf(draft_probs, numbers["draft"])

    def settle(self, law_probs: Tensor, draft_probs: Tensor, drafts: Tensor, numbers: Mapping[str, Tensor]) -> Settled:
        """See `Coupling.settle`."""
        index = drafts.unsqueeze(-1)
        # float64, and `<`: a number of 0 must not accept a token that q cannot produce. Where nothing was proposed,
        # p is 0 everywhere, and its number is not asked.
        p, q = (probs.gather(-1, index).squeeze(-1).double() for probs in (draft_probs, law_probs))
        accepted = (numbers["accept"] * p < q) & (p > 0)
        instead = inverse_cdf(residual(law_probs, draft_probs), numbers["residual"])
        return Settled(torch.where(accepted, drafts, instead), accepted)


def residual(law_probs: Tensor, draft_probs: Tensor) -> Tensor:
    """Return (q − p)₊ [n, vocab], not normalized; q itself where p, equal to it up to rounding, leaves nothing."""
    rest = (law_probs - draft_probs).clamp_min_(0.0)
    return torch.where(rest.sum(-1, keepdim=True) > 0, rest, law_probs)
