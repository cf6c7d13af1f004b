"""π_t is π_init tilted by an ordinary reward model on its most probable tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.models.freeze import freeze
from qstar_pl.models.inputs import join
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.last_logits import LastLogits
from qstar_pl.models.next_token import DecodeSession
from qstar_pl.models.prefix_rewards import PrefixRewards
from qstar_pl.models.pretrained import Pretrained
from qstar_pl.models.reward_model import RewardModel
from qstar_pl.models.shared import check_vocabulary
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tiny import TINY
from qstar_pl.targets.reward_tilted import check_beta
from qstar_pl.targets.token_target import TokenTarget
from qstar_pl.types import PromptBatch

MAX_ATTENTION = 2**25
"""Entries of an attention mask held at a time, over rows × queries × columns."""


class TopKRewardTilted(TokenTarget):
    """π_t ∝ π_init · exp(A/β), where A is a reward on the k most probable tokens and 0 on all others.

    r(x, y_≤t) is a reward model's value of the prefix extended by a candidate, as in ARGS (arXiv 2402.01694). The
    advantage A = r − V is taken over the candidates' soft value V = β log E[exp(r/β)] under π_init given that one of
    them comes next, so Z = 1: the candidates share their own mass anew, and every other token keeps its probability
    to the digit. Without a baseline the reward's free mean would decide how much mass the candidates get together;
    without the other tokens (ARGS drops them) weights π_θ/q would be biased.

    A decode step reads one token and all rows' candidates in a single forward pass over the cached prefix.
    """

    scorer: RewardModel

    def __init__(self, model: ModelSource = Pretrained(TINY), k: int = 10, beta: float = 1.0) -> None:
        """Describe the tilt; nothing is loaded yet.

        Args:
            model: a reward model with the policy's vocabulary; its reward of unfinished answers should mean something.
            k: candidates per token, at least 1; more than the vocabulary means all of it. One candidate changes
                nothing: there is no other to take mass from.
            beta: temperature of the reward, positive: a small one follows the reward, a large one π_init.

        """
        super().__init__()
        check_beta(beta)
        at_least(1, **{"target.k": k})
        self.model = model
        self.k = k
        self.beta = beta
        self._base: LanguageModel | None = None

    def left_to_default(self) -> str | None:
        """See `Target.left_to_default`."""
        return "model" if isinstance(self.model, Pretrained) and self.model.name == TINY else None

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Target.build`; raises UserError for a language model, whose scalar head would be random."""
        check_vocabulary(self.model, tokenizer, "target.model")
        self.scorer = freeze(RewardModel.load(self.model, "target.model"))
        # Wrapped, so that π_init does not become a submodule of a second parent.
        self._base = LanguageModel(reference, tokenizer)

    def decoding_models(self) -> list[nn.Module]:
        """See `Target.decoding_models`; also the base, which is no submodule."""
        return [self] if self._base is None else [self, self._base.model]

    @property
    def base(self) -> LanguageModel:
        """π_init as a distribution over next tokens; `build` makes it."""
        if self._base is None:
            raise RuntimeError("TopKRewardTilted.build must be called before the target is asked for anything")
        return self._base

    @property
    def vocab_size(self) -> int:
        """See `NextToken.vocab_size`."""
        return self.base.vocab_size

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """See `NextToken.eos_token_ids`."""
        return self.base.eos_token_ids

    @property
    def rewinds(self) -> bool:
        """See `NextToken.rewinds`; the reward model's cache can be cut, or `PrefixRewards` refuses it."""
        return self.base.rewinds

    @property
    def joins(self) -> bool:
        """See `NextToken.joins`."""
        return self.base.joins and self.scorer.capabilities.window is None

    def candidates(self, base_logits: Tensor) -> Tensor:
        """Return the ids [..., k] of the tokens that get a reward."""
        return base_logits.topk(min(self.k, base_logits.shape[-1]), dim=-1).indices

    def tilt(self, base_logits: Tensor, candidates: Tensor, rewards: Tensor) -> Tensor:
        """Return log π_t [..., vocab] from the base's logits and the `rewards` [..., k] of `candidates` [..., k]."""
        logprobs = base_logits.log_softmax(-1)
        inside = logprobs.gather(-1, candidates)
        # π_init · exp(r/β), normalized over the candidates; times their mass under π_init, log Z is 0.
        shares = (inside + rewards.to(inside.dtype) / self.beta).log_softmax(-1)
        return logprobs.scatter(-1, candidates, shares + inside.logsumexp(-1, keepdim=True))

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        """See `NextToken.start`; the prompts' candidates are scored once, whatever the number of samples."""
        return TopKSession(self, prompts, samples)

    @torch.no_grad()
    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """See `NextToken.completion_logits`; the answers are read once, their candidates in chunks of time."""
        base_logits = self.base.completion_logits(prompts, prompt_index, completion_ids, completion_mask)
        candidates = self.candidates(base_logits)
        ids, mask = join(prompts, prompt_index, completion_ids, completion_mask)
        rewards = read_candidates(PrefixRewards(self.scorer), ids[:, :-1], mask[:, :-1], candidates)
        return self.tilt(base_logits, candidates, rewards)


def read_candidates(prefixes: PrefixRewards, ids: Tensor, mask: Tensor, candidates: Tensor) -> Tensor:
    """Append tokens to prefixes and return rewards [rows, time, k] of the candidates behind the last `time` of them.

    Args:
        prefixes: what was read so far.
        ids: [rows, n].
        mask: [rows, n] bool.
        candidates: [rows, time, k].

    """
    (rows, time, k), length = candidates.shape, prefixes.length + ids.shape[1]
    ends = torch.arange(length - time, length, device=ids.device)
    queries = min(length, MAX_ATTENTION // (2 * rows * length))  # no more than columns: at most 2 × length in all
    pieces: list[Tensor] = []
    for chunk in torch.arange(time, device=ids.device).split(max(1, queries // k)):
        # The tokens are read with the first chunk; later chunks bring candidates alone.
        new = slice(0) if pieces else slice(None)
        tokens = candidates[:, chunk].flatten(1)
        rewards = prefixes.read(ids[:, new], mask[:, new], tokens, ends[chunk].repeat_interleave(k))
        pieces.append(rewards.unflatten(1, (-1, k)))
    return torch.cat(pieces, dim=1)


class TopKSession(DecodeSession):
    """Base and reward model in lockstep, each over its own cache."""

    def __init__(self, owner: TopKRewardTilted, prompts: PromptBatch, samples: int) -> None:
        self._owner = owner
        self._base = owner.base.start(prompts, samples)
        self._prefixes = PrefixRewards(owner.scorer)
        # All rows of a prompt are still alike: its candidates are scored once, then the cache is repeated.
        per_prompt = self._base.logits[::samples]
        logits = self._tilted(per_prompt, prompts.prompt_ids, prompts.prompt_mask)
        self._prefixes.repeat(samples)
        self._last = LastLogits(logits.repeat_interleave(samples, dim=0).unsqueeze(1))

    @property
    def logits(self) -> Tensor:
        """See `DecodeSession.logits`."""
        if (known := self._last.known) is None:
            base_logits = self._base.logits
            # After a rewind: the candidates are read behind the cached tokens, without a new one.
            nothing = torch.empty(len(base_logits), 0, dtype=torch.int64, device=base_logits.device)
            known = self._tilted(base_logits, nothing, nothing.bool())
            self._last = LastLogits(known.unsqueeze(1))
        return known

    def advance(self, token_ids: Tensor) -> None:
        """See `DecodeSession.advance`."""
        self._base.advance(token_ids)
        ids = token_ids.unsqueeze(-1)
        logits = self._tilted(self._base.logits, ids, torch.ones_like(ids, dtype=torch.bool))
        self._last = LastLogits(logits.unsqueeze(1))

    def extend(self, token_ids: Tensor) -> Tensor:
        """See `DecodeSession.extend`."""
        base_logits = self._base.extend(token_ids)
        candidates = self._owner.candidates(base_logits)
        mask = torch.ones_like(token_ids, dtype=torch.bool)
        block = self._owner.tilt(base_logits, candidates, read_candidates(self._prefixes, token_ids, mask, candidates))
        self._last = LastLogits(block)
        return block

    def rewind(self, counts: Tensor) -> None:
        """See `DecodeSession.rewind`."""
        self._base.rewind(counts)
        self._prefixes.rewind(counts)
        self._last.rewind(counts)

    @property
    def room(self) -> int | None:
        """See `DecodeSession.room`; the reward model's own window is refused where it is read."""
        return self._base.room

    def select(self, rows: Tensor) -> None:
        """See `DecodeSession.select`."""
        self._base.select(rows)
        self._prefixes.select(rows)
        self._last.select(rows)

    @property
    def columns(self) -> int:
        """See `DecodeSession.columns`; the reward model's rows stand in as many."""
        return self._base.columns

    def trim(self) -> None:
        """See `DecodeSession.trim`."""
        self._base.trim()
        self._prefixes.trim()

    def join(self, other: DecodeSession) -> None:
        """See `DecodeSession.join`."""
        if not isinstance(other, TopKSession):
            raise ValueError(f"other must be a session of the same target, got {type(other).__name__}")
        # First: what is not known is computed from the caches as they are.
        self._last = LastLogits(torch.cat([self.logits, other.logits]).unsqueeze(1))
        self._base.join(other._base)
        self._prefixes.join(other._prefixes)

    def _tilted(self, base_logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        candidates = self._owner.candidates(base_logits)
        # All candidates extend the last column, the tokens read now included.
        end = ids.new_full((candidates.shape[1],), self._prefixes.length + ids.shape[1] - 1)
        return self._owner.tilt(base_logits, candidates, self._prefixes.read(ids, mask, candidates, end))
