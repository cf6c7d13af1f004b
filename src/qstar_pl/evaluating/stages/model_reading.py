"""A model that is evaluated, and one that it is compared with, reading answers in tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from qstar_pl.data.batches.collate import Collate, DemonstrationCollate, PreferenceCollate, PromptCollate
from qstar_pl.data.text.encoding import Encoded, Encoder
from qstar_pl.errors import UserError
from qstar_pl.evaluating.items import Item
from qstar_pl.evaluating.sources.drawn_tokens import DrawnTokens
from qstar_pl.evaluation.metrics import Answers, Comparisons, Demonstrations
from qstar_pl.evaluation.text_rewards import rollout_of
from qstar_pl.models.freeze import freeze
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.logprobs import completion_logprobs, demonstration_logprobs
from qstar_pl.models.next_token import NextToken
from qstar_pl.models.relabeled import Relabeled
from qstar_pl.models.shared import own_token_ids
from qstar_pl.models.source import ModelSource
from qstar_pl.qstar.preferences import AnswerLogprobs, PairLogprobs
from qstar_pl.rollout.absent import chunk_rows, divergence_along
from qstar_pl.types import DemonstrationBatch, Example, PreferenceBatch, PromptBatch

ROWS = 16
"""Rows of the data that a model reads at a time, at most; fewer where their logits take much memory."""
HALF = {"bf16": torch.bfloat16, "16": torch.float16}
"""Lightning's names of precisions, before -mixed or -true."""


@dataclass(frozen=True)
class ModelReading:
    """Gives metrics what `validate` gives them: the models' numbers of drawn answers and of the data's own."""

    policy: LanguageModel
    reference: NextToken | None
    """π_init, or what stands for it, in the policy's ids; None: there is none."""
    encoder: Encoder
    """Of prompts, as they were answered, and of the data's answers."""
    tokens: DrawnTokens | None
    """Of the answers; None: no metric reads them."""
    device: torch.device
    limit: int | None = None
    """Longest prompt and answer together that all of the models can read, in tokens; None: any."""
    precision: str = "32-true"
    """Lightning's, with which the answers were drawn."""

    def answers(self, items: Sequence[Item], texts: Answers) -> Answers:
        """Return the answers to some prompts, which are there as texts, with their tokens."""
        assert self.tokens is not None, "only asked where a metric reads them"
        index, fields = self.tokens.of_rows([item.row for item in items])
        collate = PromptCollate(self._pad)
        prompts = collate.prompts([self.encoder.encode(_asked(item)) for item in items])
        given = DemonstrationBatch(prompts, fields["completion_ids"], fields["completion_mask"])
        drawn: dict[str, Any] = {"prompt_index": index, **fields}
        rollout = replace(rollout_of(given), **drawn).to(self.device)

        def divergences() -> Tensor:
            assert self.reference is not None, "only asked where there is one"
            with self._computing():
                return divergence_along(rollout, self.policy, self.reference)

        return Answers(rollout, texts.texts, rewards=lambda: texts.rewards, divergences=divergences)

    def demonstrations(self, items: Sequence[Item]) -> Iterator[tuple[list[int], Demonstrations]]:
        """Yield what the model makes of the data's own answers, with the places in `items` of each batch's rows."""
        for places, batch in self._batches(items, DemonstrationCollate(self._pad)):
            assert isinstance(batch, DemonstrationBatch)
            with self._computing():
                yield places, Demonstrations(batch, demonstration_logprobs(self.policy, batch))

    def comparisons(self, items: Sequence[Item]) -> Iterator[tuple[list[int], Comparisons]]:
        """Yield what the model makes of the data's pairs, against the reference, with the places of each batch's."""
        for places, batch in self._batches(items, PreferenceCollate(self._pad)):
            assert isinstance(batch, PreferenceBatch)
            with self._computing():
                pairs = PairLogprobs(
                    self._logprobs(batch.prompts, batch.chosen_ids, batch.chosen_mask),
                    self._logprobs(batch.prompts, batch.rejected_ids, batch.rejected_mask),
                )
            # Rewards are in units of a β, which only a method knows.
            of_model = {key: one for key, one in pairs.quantities(1.0).items() if key.startswith("logps/")}
            yield places, Comparisons(batch, pairs.margins(), of_model)

    def _logprobs(self, prompts: PromptBatch, ids: Tensor, mask: Tensor) -> AnswerLogprobs:
        assert self.reference is not None, "only asked where there is one"
        index = torch.arange(len(prompts), device=ids.device)
        own = completion_logprobs(self.policy, prompts, index, ids, mask)
        return AnswerLogprobs(own, completion_logprobs(self.reference, prompts, index, ids, mask), mask)

    @property
    def _pad(self) -> int:
        return int(self.encoder.tokenizer.pad_token_id or 0)

    def _batches(
        self, items: Sequence[Item], collate: Collate
    ) -> Iterator[tuple[list[int], DemonstrationBatch | PreferenceBatch]]:
        wanted = [place for place, item in enumerate(items) if _has(item, collate)]
        encoded = {place: self.encoder.encode(items[place].example) for place in wanted}
        self._check_fits(encoded)
        longest = max((_longest(one) for one in encoded.values()), default=1)
        size = chunk_rows(ROWS, longest, self.policy.vocab_size)
        for start in range(0, len(wanted), size):
            places = wanted[start : start + size]
            batch = collate([encoded[place] for place in places]).to(self.device)
            assert isinstance(batch, DemonstrationBatch | PreferenceBatch)
            yield places, batch

    def _check_fits(self, rows: Mapping[int, Encoded]) -> None:
        whole = max((len(row.prompt) + _longest(row) for row in rows.values()), default=0)
        if self.limit is not None and whole > self.limit:
            raise UserError(
                "max_prompt_tokens and max_completion_tokens must cut prompts and answers of the data to the "
                f"{self.limit} tokens that the models can read, got {whole}"
            )

    def _computing(self) -> AbstractContextManager[object]:
        kind, _, how = self.precision.partition("-")
        if how != "mixed" or kind not in HALF:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=HALF[kind])


def policy_of(source: ModelSource, device: torch.device, precision: str) -> LanguageModel:
    """Load a model that is evaluated."""
    return LanguageModel(_placed(source, device, precision), source.tokenizer())


def reference_of(
    source: ModelSource, policy: LanguageModel, argument: str, device: torch.device, precision: str
) -> NextToken:
    """Load what a model is compared with.

    Raises:
        UserError: names `argument`, if it has other tokens.

    """
    assert policy.tokenizer is not None, "policy_of gives it one"
    own_ids = own_token_ids(source, policy.tokenizer, argument)
    model = _placed(source, device, precision)
    if own_ids is None:
        return LanguageModel(model, policy.tokenizer)
    return Relabeled(LanguageModel(model, source.tokenizer()), torch.tensor(own_ids))


def _placed(source: ModelSource, device: torch.device, precision: str) -> PreTrainedModel:
    model = freeze(source.load())
    kind, _, how = precision.partition("-")
    module: torch.nn.Module = model  # whose `to` transformers types in a way of its own
    module.to(device=device, dtype=HALF[kind] if how == "true" and kind in HALF else None)
    return model


def _asked(item: Item) -> Example:
    """Return the prompt alone."""
    return replace(item.example, chosen=None, rejected=None)


def _has(item: Item, collate: Collate) -> bool:
    both = item.example.rejected is not None or not isinstance(collate, PreferenceCollate)
    return item.example.chosen is not None and both


def _longest(row: Encoded) -> int:
    return max(len(answer) for answer in (row.chosen, row.rejected) if answer is not None)
