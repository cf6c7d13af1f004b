"""Rules of acceptance with one mistake each; all have been shipped by somebody."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.rollout.law import POLICY, TARGET, Law, Mixed
from qstar_pl.samplers.couplings import Rejection
from qstar_pl.samplers.couplings.coupling import Settled

Numbers = Mapping[str, Tensor]


class WrongResidual(Rejection):
    """A refused draft is replaced by a token of q, not of (q − p)₊."""

    def settle(self, law_probs: Tensor, draft_probs: Tensor, drafts: Tensor, numbers: Numbers) -> Settled:
        settled = super().settle(law_probs, draft_probs, drafts, numbers)
        return replaced(settled, drafts, inverse_cdf(law_probs, numbers["residual"]))


class WrongDraftProbability(Rejection):
    """The draft is taken for one of a uniform law."""

    def settle(self, law_probs: Tensor, draft_probs: Tensor, drafts: Tensor, numbers: Numbers) -> Settled:
        uniform = torch.where(draft_probs.sum(-1, keepdim=True) > 0, 1 / draft_probs.shape[-1], 0.0)
        return super().settle(law_probs, uniform.expand_as(draft_probs), drafts, numbers)


@dataclass(frozen=True)
class TemperatureMismatch(Rejection):
    """Drafted at one temperature, judged as if at 1."""

    temperature: float = 0.8

    def propose(self, draft_probs: Tensor, numbers: Numbers) -> Tensor:
        return super().propose(draft_probs ** (1 / self.temperature), numbers)


class DroppedToken(Rejection):
    """An improbable draft is dropped, and the token drawn anew from q."""

    def settle(self, law_probs: Tensor, draft_probs: Tensor, drafts: Tensor, numbers: Numbers) -> Settled:
        settled = super().settle(law_probs, draft_probs, drafts, numbers)
        kept = draft_probs.gather(-1, drafts.unsqueeze(-1)).squeeze(-1) > 0.2
        anew = inverse_cdf(law_probs, numbers["residual"])
        return Settled(torch.where(kept, settled.tokens, anew), settled.accepted & kept)


class SharedStream(Rejection):
    """What refuses a draft also says what comes instead."""

    def settle(self, law_probs: Tensor, draft_probs: Tensor, drafts: Tensor, numbers: Numbers) -> Settled:
        return super().settle(law_probs, draft_probs, drafts, {**numbers, "residual": numbers["accept"]})


class AlwaysAccepted(Rejection):
    """Nothing is refused that q can produce."""

    def settle(self, law_probs: Tensor, draft_probs: Tensor, drafts: Tensor, numbers: Numbers) -> Settled:
        nothing = torch.zeros_like(numbers["accept"])
        return super().settle(law_probs, draft_probs, drafts, {**numbers, "accept": nothing})


def replaced(settled: Settled, drafts: Tensor, instead: Tensor) -> Settled:
    """Put `instead` where the draft was refused."""
    return settled._replace(tokens=torch.where(settled.accepted, drafts, instead))


@dataclass(frozen=True)
class Arithmetic(Law):
    """(π_θ + π_t)/2, which must not pass for the geometric mixture."""

    @property
    def roles(self) -> tuple[str, ...]:
        return (POLICY, TARGET)

    def __call__(self, logprobs: Mapping[str, Tensor]) -> Mixed:
        mean = torch.stack([logprobs[POLICY], logprobs[TARGET]]).logsumexp(0).log_softmax(-1)
        half = mean.new_full(mean.shape[:-1], 0.5)
        return Mixed(mean, half, torch.zeros_like(half))


FAULTS = (
    WrongResidual(),
    WrongDraftProbability(),
    TemperatureMismatch(),
    DroppedToken(),
    SharedStream(),
    AlwaysAccepted(),
)
