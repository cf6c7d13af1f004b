"""Rewards of answers that come as texts, from wherever, instead of as the tokens that a policy has drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from qstar_pl.data.batches.collate import DemonstrationCollate
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.data.text.encoding import Encoded, Encoder
from qstar_pl.data.text.rendering import Rendering, TokenizerRendering
from qstar_pl.models.source import ModelSource
from qstar_pl.rewards import Reward
from qstar_pl.types import DemonstrationBatch, Example, PromptBatch, Rollout, SamplerInfo

_NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class TextRewards:
    """Scores (example, answer) pairs by a reward that is built.

    An answer is rendered and tokenized behind its prompt as the data's own are, and counts as ended.
    """

    reward: Reward
    tokenizer: PreTrainedTokenizerBase | None
    """What the reward was built with; None: the reward reads texts alone, and gets rollouts without tokens."""
    rendering: Rendering = field(default_factory=TokenizerRendering)
    """How dialogues become text."""
    limit: int | None = None
    """Longest sequence, prompt and answer together, in tokens; longer ones lose the oldest turns of the prompt, and an
    answer that takes more than half of it loses its end. None: no limit."""
    rows_per_batch: int = 64
    """Answers scored at a time."""

    @torch.no_grad()
    def scores(self, rows: Sequence[tuple[Example, str]]) -> list[float]:
        """Return the reward of each answer; NaN where the prompt has no tokens to read."""
        found: list[float] = []
        for start in range(0, len(rows), self.rows_per_batch):
            found += self._scores(rows[start : start + self.rows_per_batch])
        return found

    def _scores(self, rows: Sequence[tuple[Example, str]]) -> list[float]:
        if self.tokenizer is None:
            return self._of(_without_tokens(rows), [text for _, text in rows])
        encoded = [self._encoded(self.tokenizer, replace(row, chosen=text, rejected=None)) for row, text in rows]
        readable = [one for one in encoded if one is not None]
        if not readable:
            return [math.nan] * len(rows)
        batch = DemonstrationCollate(self.tokenizer.pad_token_id or 0)(readable)
        rewards = iter(self._of(batch, [str(one.example.chosen) for one in readable]))
        return [math.nan if one is None else next(rewards) for one in encoded]

    def _of(self, batch: DemonstrationBatch, texts: list[str]) -> list[float]:
        tensors = chain(self.reward.parameters(), self.reward.buffers())
        device = next((tensor.device for tensor in tensors), torch.device("cpu"))
        return self.reward.score(rollout_of(batch).to(device), texts).tolist()

    def _encoded(self, tokenizer: PreTrainedTokenizerBase, example: Example) -> Encoded | None:
        try:
            whole = Encoder(tokenizer, _NO_LIMIT, _NO_LIMIT, rendering=self.rendering).encode(example)
            assert whole.chosen is not None
            if self.limit is None or len(whole.prompt) + len(whole.chosen) <= self.limit:
                return whole
            for_answer = min(len(whole.chosen), max(self.limit // 2, self.limit - len(whole.prompt)))
            return Encoder(tokenizer, self.limit - for_answer, for_answer, rendering=self.rendering).encode(example)
        except RowRejected:
            return None


def scorer_of(
    reward: Reward,
    tokenizer: PreTrainedTokenizerBase | None,
    rendering: Rendering = TokenizerRendering(),
    rows_per_batch: int = 64,
) -> TextRewards:
    """Build a reward, and return what scores texts by it.

    Args:
        reward: not built yet.
        tokenizer: what it is to read; None: that of the reward's own model, and where it has none, texts alone.
        rendering: how dialogues become text.
        rows_per_batch: answers scored at a time.

    """
    source = own_model(reward)
    if tokenizer is None and source is not None:
        tokenizer = source.tokenizer()
    limit = None if source is None else source.capabilities().context.limit
    reward.build(tokenizer)  # None: it reads texts alone
    return TextRewards(reward, tokenizer, rendering, limit, rows_per_batch)


def own_model(reward: Reward) -> ModelSource | None:
    """Return where the model of a reward comes from, or of one of its parts; None if none has a model."""
    found = (getattr(module, "model", None) for module in reward.modules())
    return next((one for one in found if isinstance(one, ModelSource)), None)


def rollout_of(batch: DemonstrationBatch) -> Rollout:
    """Return given answers, one per prompt, as a rollout: what is known of drawn tokens alone is 0."""
    mask = batch.completion_mask
    known = {"prompts", "prompt_index", "completion_ids", "completion_mask", "ended_mask", "info"}
    zeros = torch.zeros(mask.shape, dtype=torch.float32, device=mask.device)
    return Rollout(
        prompts=batch.prompts,
        prompt_index=torch.arange(len(batch), device=mask.device),
        completion_ids=batch.completion_ids,
        completion_mask=mask,
        ended_mask=torch.ones(len(batch), dtype=torch.bool, device=mask.device),
        info=SamplerInfo(exact=False, seed=0),
        **{field.name: zeros for field in fields(Rollout) if field.name not in known},
    )


def _without_tokens(rows: Sequence[tuple[Example, str]]) -> DemonstrationBatch:
    ids, mask = torch.zeros(len(rows), 0, dtype=torch.int64), torch.zeros(len(rows), 0, dtype=torch.bool)
    keys = torch.tensor(np.array([row.key for row, _ in rows], np.int64))
    return DemonstrationBatch(PromptBatch(ids, mask, keys, tuple(row for row, _ in rows)), ids, mask)
