"""Markov chains as models: so many rows at a time that a wrong law of speculative sampling shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor

from qstar_pl.models.next_token import DecodeSession, NextToken
from qstar_pl.types import PromptBatch


class Chain(NextToken):
    """The logits of the next token are a row of a table, chosen by the last token."""

    def __init__(self, table: Tensor, eos: tuple[int, ...] = (), rewinds: bool = True) -> None:
        self.table, self._eos, self._rewinds = table, eos, rewinds
        self.calls: list[int] = []
        """Tokens per row that each pass read."""

    @property
    def vocab_size(self) -> int:
        return self.table.shape[1]

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return self._eos

    @property
    def rewinds(self) -> bool:
        return self._rewinds

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        return ChainSession(self, prompts.prompt_ids[:, -1:].repeat_interleave(samples, dim=0))

    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        first = prompts.prompt_ids[prompt_index, -1:]
        return self.table[torch.cat([first, completion_ids[:, :-1]], dim=1)]


class ChainSession(DecodeSession):
    """All rows in one tensor."""

    def __init__(self, model: Chain, ids: Tensor) -> None:
        self._model, self._ids = model, ids
        self._lengths = torch.ones(len(ids), dtype=torch.int64)

    @property
    def logits(self) -> Tensor:
        return self._model.table[self._ids.gather(1, self._lengths.unsqueeze(-1) - 1).squeeze(-1)]

    def advance(self, token_ids: Tensor) -> None:
        self.extend(token_ids.unsqueeze(-1))

    def extend(self, token_ids: Tensor) -> Tensor:
        count = token_ids.shape[1]
        self._model.calls.append(count)
        room = torch.zeros(len(token_ids), count, dtype=torch.int64)
        places = self._lengths.unsqueeze(-1) + torch.arange(count)
        self._ids = torch.cat([self._ids, room], dim=1).scatter(1, places, token_ids)
        self._lengths = self._lengths + count
        return self._model.table[token_ids]

    def rewind(self, counts: Tensor) -> None:
        assert bool(((counts >= 0) & (counts < self._lengths)).all())
        self._lengths = self._lengths - counts

    def select(self, rows: Tensor) -> None:
        self._ids, self._lengths = self._ids[rows], self._lengths[rows]


@contextmanager
def quick_numbers() -> Iterator[None]:
    """Random numbers from one generator per purpose: one per row takes ten microseconds, too long for 400,000 rows."""

    def numbers(keys: Tensor, samples: int, count: int, *, seed: int, purpose: str = "token") -> Tensor:
        generator = torch.Generator().manual_seed(seed + 1000 * sum(purpose.encode()))
        return torch.rand(len(keys) * samples, count, generator=generator, dtype=torch.float64)

    with patch("qstar_pl.samplers.speculative.row_uniforms", numbers):
        yield
