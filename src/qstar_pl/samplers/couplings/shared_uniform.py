"""One uniform number draws from p and from q; the draft is right where both draw the same token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.samplers.couplings.coupling import Coupling, Settled


@dataclass(frozen=True)
class SharedUniform(Coupling):
    """The token is the one that plain decoding draws, by the same number; p merely guesses it with that number.

    So the texts are those of plain decoding to the token, whatever drafts and however many at a time, up to the
    rounding of a block's logits. p accepts less often than under `Rejection`: .95 for .97 on two small language models
    of the same data, .67 for .71 on two that differ more.
    """

    @property
    def purposes(self) -> tuple[str, ...]:
        """See `Coupling.purposes`: the stream of plain decoding."""
        return ("token",)

    @property
    def uses_draft_probs(self) -> bool:
        """See `Coupling.uses_draft_probs`."""
        return False

    def propose(self, draft_probs: Tensor, numbers: Mapping[str, Tensor]) -> Tensor:
        """See `Coupling.propose`."""
        return inverse_cdf(draft_probs, numbers["token"])

    def settle(self, law_probs: Tensor, draft_probs: Tensor, drafts: Tensor, numbers: Mapping[str, Tensor]) -> Settled:
        """See `Coupling.settle`."""
        tokens = inverse_cdf(law_probs, numbers["token"])
        # What an empty row "proposes" is no proposal, and may be right by chance.
        return Settled(tokens, (tokens == drafts) & (draft_probs.gather(-1, drafts.unsqueeze(-1)).squeeze(-1) > 0))
