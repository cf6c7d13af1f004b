"""Samplers that draw token by token, straight from q."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from qstar_pl.models.compiling import Compiling, backend_of, compiling
from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.engine import decode
from qstar_pl.rollout.law import POLICY, TARGET, Law
from qstar_pl.rollout.one_pass import compiles
from qstar_pl.rollout.pace import Pace
from qstar_pl.rollout.refill import decode_all
from qstar_pl.rollout.rescoring import rescored
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.samplers.sampler import Sampler
from qstar_pl.targets.target import Target
from qstar_pl.types import PromptBatch, Rollout


@dataclass(frozen=True, kw_only=True)
class DecodingSampler(Sampler):
    """Exact: every token is drawn from the very tensor that `behavior_logprobs` is read from."""

    fused: bool = True
    """On CUDA, draw a token by one kernel (α*, the law and the draw), where Triton can run it; false: operation by
    operation. Laws with another α than a fixed or the KL-symmetric one, top_k and top_p are always drawn that way."""
    torch_compile: bool | str = field(default=False, repr=False)  # no part of what is drawn
    """Compile what a token costs, for each new shape on its first token; true: by torch's inductor; or the name of
    another backend. What cannot be compiled is decoded as ever, with one notice."""

    def __post_init__(self) -> None:
        super().__post_init__()
        backend_of(self.torch_compile)

    @property
    @abstractmethod
    def law(self) -> Law:
        """q as a function of the two models' log-probabilities."""

    @property
    def exact(self) -> bool:
        """See `Sampler.exact`."""
        return True

    @property
    def truncation(self) -> Truncation:
        """What turns q into the law that tokens are drawn from."""
        return Truncation(self.temperature, self.top_k, self.top_p)

    def draw(
        self,
        prompts: PromptBatch,
        policy: NextToken,
        target: NextToken | Target,
        *,
        samples: int,
        seed: int,
        pace: Pace = Pace(),
    ) -> Rollout:
        """See `Sampler.draw`."""
        backend = backend_of(self.torch_compile)
        with compiling(None if backend is None else Compiling(backend, self.max_new_tokens)):
            return decode(
                prompts,
                policy,
                self.next_tokens(target),
                self.law,
                samples=samples,
                seed=seed,
                max_new_tokens=self.max_new_tokens,
                truncation=self.truncation,
                pace=pace,
                fused=self.fused,
            )

    @property
    def refills(self) -> bool:
        """See `Sampler.refills`."""
        return True  # compiled or not: units are planned by it, and a run may go on the other way

    def why_not_refilled(self, policy: NextToken, target: NextToken | Target, pace: Pace = Pace()) -> str | None:
        """See `Sampler.why_not_refilled`."""
        if backend_of(self.torch_compile) is not None:
            return "compiled passes have rows of one age"
        if compiles(self.law):
            return "what a compiled graph says of a row depends on how many there are, in the last digit"
        if pace != Pace():
            return "the models' parts are gathered for every token, so all processes make the same number of passes"
        models = {POLICY: policy, TARGET: self.next_tokens(target)}
        stuck = [role for role in self.law.roles if not models[role].joins]
        # A sliding window or a recurrent state; with weights in parts, all processes make the same number of passes.
        return f"rows cannot join those that the {' and the '.join(stuck)} has read before" if stuck else None

    def draw_all(
        self,
        batches: Sequence[PromptBatch],
        policy: NextToken,
        target: NextToken | Target,
        *,
        samples: int,
        seed: int,
        refill: bool = True,
        pace: Pace = Pace(),
    ) -> list[Rollout]:
        """See `Sampler.draw_all`."""
        if self.why_not_refilled(policy, target, pace) is not None:
            return super().draw_all(batches, policy, target, samples=samples, seed=seed, refill=refill, pace=pace)
        return decode_all(
            batches,
            policy,
            self.next_tokens(target),
            self.law,
            samples=samples,
            seed=seed,
            max_new_tokens=self.max_new_tokens,
            truncation=self.truncation,
            refill=refill,
            fused=self.fused,
        )

    def rescore(
        self, rollout: Rollout, policy: NextToken, target: NextToken | Target, *, pace: Pace = Pace()
    ) -> Rollout:
        """See `Sampler.rescore`."""
        tokens = self.next_tokens(target)
        return rescored(rollout, policy, tokens, self.law, truncation=self.truncation, pace=pace)
