"""π_t beside a batch of requests that come, go, move and are put off: every request has a cache of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.models import DecodeSession, NextToken
from qstar_pl.types import PromptBatch


class Guided:
    """One request: its tokens as the engine knows them, and π_t behind those that were read."""

    def __init__(self, prompt: Sequence[int] | None, answer: Sequence[int]) -> None:
        """Take a request.

        Args:
            prompt: token ids.
            answer: the engine's own list of the tokens drawn so far, which it appends to; a request that comes back
                after it was put off already has some.

        """
        if not prompt:
            raise UserError("prompt must be token ids for π_t to read, got a prompt without any")
        self._prompt, self._answer = tuple(prompt), answer
        self._session: DecodeSession | None = None
        self._read: list[int] = []
        """The tokens of the answer that the session has read."""

    def logits(self, target: NextToken, device: torch.device) -> Tensor:
        """Return π_t's logits [1, vocab] of the next token."""
        answer = list(self._answer)
        if -1 in answer:
            raise RuntimeError(f"the engine gave a token that is not drawn yet, got {answer}")
        if self._session is None or answer[: len(self._read)] != self._read:
            # New, or the engine took tokens back: read as a prompt.
            ids = torch.tensor([[*self._prompt, *answer]], device=device)
            prompts = PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool), torch.zeros(1, dtype=torch.int64), ())
            self._session = target.start(prompts, 1)
        else:
            for token in answer[len(self._read) :]:
                self._session.advance(torch.tensor([token], device=device))
        self._read = answer
        return self._session.logits


class Guide:
    """The rows of an engine's batch, each with its request."""

    def __init__(self, target: NextToken, device: torch.device) -> None:
        self.target = target
        self._device = device
        self._rows: dict[int, Guided] = {}

    def add(self, row: int, prompt: Sequence[int] | None, answer: Sequence[int]) -> None:
        """Put a request into a row, whatever stood there."""
        self._rows[row] = Guided(prompt, answer)

    def remove(self, row: int) -> None:
        """Empty a row."""
        self._rows.pop(row, None)

    def move(self, source: int, destination: int) -> None:
        """Let the request of one row stand in another; it replaces what stood there."""
        self.remove(destination)
        if source in self._rows:
            self._rows[destination] = self._rows.pop(source)

    def swap(self, one: int, other: int) -> None:
        """Let two rows change places; either may be empty."""
        held = {other: self._rows.pop(one, None), one: self._rows.pop(other, None)}
        self._rows |= {row: request for row, request in held.items() if request is not None}

    @torch.no_grad()
    def logits(self, rows: int) -> Tensor:
        """Return π_t's logits [rows, vocab] for rows 0 … rows − 1."""
        return torch.cat([self._rows[row].logits(self.target, self._device) for row in range(rows)])
