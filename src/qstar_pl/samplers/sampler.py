"""The sampler interface: tokens with the exact log-probabilities of the law they were drawn from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.checks import at_least, positive, within
from qstar_pl.errors import UserError
from qstar_pl.models.logprobs import rollout_logprobs
from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.pace import Pace
from qstar_pl.targets.target import Target
from qstar_pl.types import PromptBatch, Rollout


@dataclass(frozen=True, kw_only=True)
class Sampler(ABC):
    """Draws answers from some q built of π_θ and π_t.

    Temperature and truncation apply to q itself (never to each model on its own, which would leave q empty where the
    kept tokens differ), so that `Rollout.behavior_logprobs` is the law the tokens were drawn from.
    """

    max_new_tokens: int = 48
    """Longest answer, in tokens, EOS included."""
    temperature: float = 1.0
    """q is raised to 1/temperature and renormalized; 1 leaves it as it is. Must be positive."""
    top_k: int | None = None
    """Keep only the k most probable tokens of q. Truncation biases importance weights: see weights/uncovered_mass."""
    top_p: float | None = None
    """Keep the smallest set of tokens whose mass under q reaches top_p, in (0, 1]."""

    def __post_init__(self) -> None:
        at_least(1, max_new_tokens=self.max_new_tokens)
        positive(temperature=self.temperature)
        at_least(1, top_k=self.top_k)
        within("(0, 1]", top_p=self.top_p)

    @property
    @abstractmethod
    def exact(self) -> bool:
        """Whether the tokens follow `behavior_logprobs` exactly, up to rounding."""

    @property
    def needs_target(self) -> bool:
        """Whether drawing needs π_t; a sampler that does not draws from π_θ and from models of its own."""
        return True

    @property
    def whole_answers(self) -> bool:
        """Whether log q is known of whole answers only: `behavior_logprobs` then mean something as sums alone."""
        return False

    @property
    def records_kept(self) -> bool:
        """Whether rollouts say what top-k and top-p left over, so that other weights can tell what they make of it."""
        return False

    def independent_draws(self, samples: int) -> int:
        """Return how many of `samples` answers to a prompt are independent: all, unless they share a set."""
        return samples

    def check_target(self, target: Target) -> None:
        """Raise UserError unless this sampler can draw with `target`; called before any model is loaded."""
        self.next_tokens(target)

    def next_tokens(self, target: NextToken | Target) -> NextToken:
        """Return the target as a distribution over next tokens.

        Raises:
            UserError: if the target knows no next tokens.

        """
        if not isinstance(target, NextToken):
            raise UserError(
                "sampler must be a CandidateSetSampler whose proposal is the policy for "
                f"{type(target).__name__}, a target that knows no next tokens, got {type(self).__name__}"
            )
        return target

    def require(self) -> None:  # noqa: B027 (most need nothing more)
        """Raise UserError unless what it needs is installed; called before a run writes or loads anything."""

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:  # noqa: B027 (most need none)
        """Load and freeze the sampler's own models (a drafter, say); most have none.

        Called once, from the LightningModule's `configure_model`, after π_init was loaded and before `models` is asked.
        A frozen dataclass keeps them in a list of its own, which is no option:
        `_models: list[nn.Module] = field(default_factory=list, init=False, repr=False, compare=False)`.

        Args:
            reference: frozen π_init.
            tokenizer: the policy's; a model that proposes tokens must share its vocabulary.

        Raises:
            UserError: if it has another vocabulary.

        """

    def models(self) -> list[nn.Module]:
        """Return what `build` loaded: moved, sharded and gathered with the other frozen models, in no checkpoint."""
        return []

    def note_step(self, step: int) -> None:  # noqa: B027 (most need not know)
        """Be told, before a draw for training, how many optimizer steps have been taken."""

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Let go of what `draw` has started (an engine, say); a later draw starts it again."""

    @property
    def refills(self) -> bool:
        """Whether `draw_all` can let the next prompts take the place of answers that have ended."""
        return False

    def why_not_refilled(self, policy: NextToken, target: NextToken | Target, pace: Pace = Pace()) -> str | None:
        """Return why `draw_all` draws batch by batch with these models; None: it need not."""
        return f"{type(self).__name__} draws whole batches"

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
        """Do for many batches what `draw` does for one, with no more rows at a time than the largest of them has.

        Args:
            batches: prompts, each batch padded on its own.
            policy: π_θ.
            target: π_t.
            samples: answers per prompt.
            seed: of the draw.
            refill: whether answers that end make room for the next prompts, if `why_not_refilled` says nothing. In
                float32 on one thread of a CPU this changes no bit.
            pace: when to stop, with processes that draw at the same time.

        """
        return [self.draw(batch, policy, target, samples=samples, seed=seed, pace=pace) for batch in batches]

    @abstractmethod
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
        """Sample `samples` answers to each prompt.

        Every row has its own random stream, derived from (`seed`, the prompt's key, the sample's number). In float32 a
        row's text therefore does not depend on what shares its batch, unless its random number falls within 1e-6 of
        the border between two tokens. In bfloat16 a matrix product rounds to three digits, in an order that follows the
        batch's shape: there 4 of 32 answers of 32 tokens changed with their batch mates on a CPU (`just bench
        batch_mates`), and of larger models up to a third did. `behavior_logprobs` are those of the law that the row's
        own tokens were drawn from in either dtype. Batches of one prompt make bfloat16 texts independent of others too.

        Args:
            prompts: padded on the left.
            policy: π_θ.
            target: π_t.
            samples: answers per prompt; the rows of one prompt are adjacent.
            seed: of the draw.
            pace: when to stop, with processes that draw at the same time (see `Clock`).

        """

    def rescore(
        self, rollout: Rollout, policy: NextToken, target: NextToken | Target, *, pace: Pace = Pace()
    ) -> Rollout:
        """Return the rollout as the models at hand see it, which were others when it was drawn.

        Here log π_θ alone is computed anew. A sampler whose q is known for given tokens computes that too, as
        `Rollout.recomputed_logprobs`.
        """
        with torch.no_grad():
            return replace(rollout, policy_logprobs=rollout_logprobs(policy, rollout))


def built(sampler: Sampler, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[nn.Module]:
    """Build a sampler and return its models, for a LightningModule to register."""
    sampler.build(reference, tokenizer)
    return sampler.models()
