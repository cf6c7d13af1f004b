"""One model's session beside answers that grow by blocks of different lengths."""

from __future__ import annotations

import torch
from torch import Tensor

from qstar_pl.models.next_token import DecodeSession
from qstar_pl.samplers.feeds.answers import Answers
from qstar_pl.samplers.feeds.costs import Meter


class Feed:
    """Reads what the model has not read yet, when its logits are asked for, and takes back what did not stand.

    Rows give back different numbers of tokens, and a session's pass reads as many of each row. So a pass reads what the
    row that is furthest behind lacks; rows that lack less give a token back and read it again with it.
    """

    def __init__(self, name: str, session: DecodeSession, meter: Meter) -> None:
        """Begin behind the prompts.

        Args:
            name: of the model, under which its passes are counted.
            session: just started.
            meter: counts its passes.

        """
        self._name, self._session, self._meter = name, session, meter
        first = session.logits
        # Tokens of each row's answer that the session holds, and how many of them, from the first on, stand.
        self._held = torch.zeros(len(first), dtype=torch.int64, device=first.device)
        self._right = self._held
        self._blocks: list[Tensor] = []
        self.known = 0
        """Places from the end of what stands on whose logits are at hand."""

    @property
    def room(self) -> int | None:
        """See `DecodeSession.room`."""
        return self._session.room

    @property
    def first(self) -> Tensor:
        """[rows, vocab]: the logits behind the last token that the session holds."""
        return self._session.logits

    def logits(self, answers: Answers, count: int) -> Tensor:
        """Return the logits [rows, count, vocab] that predict places 0 … count − 1 behind what stands.

        The proposals at places 0 … count − 2 must have been written. What is known is not computed again.
        """
        if self.known < count:
            self._blocks.append(self._read(answers, count))
            self.known = count
        if len(self._blocks) > 1:
            self._blocks = [torch.cat(self._blocks, dim=1)]
        return self._blocks[0][:, :count]

    def settle(self, standing: Tensor) -> None:
        """Forget what was said of the last block, of which the first `standing` [rows] tokens of each answer stand."""
        self._right = torch.minimum(self._held, standing)
        self._blocks, self.known = [], 0

    def select(self, rows: Tensor) -> None:
        """Go on with `rows` [n] alone; only right behind `settle`."""
        self._session.select(rows)
        self._held, self._right = self._held[rows], self._right[rows]

    def _read(self, answers: Answers, count: int) -> Tensor:
        start = answers.lengths
        if self.known:
            return self._extend(answers, start + self.known - 1, count - self.known)
        if bool((self._right == start).all()):
            # The logits behind what stands are the session's own.
            self._rewind(start)
            logits = self._session.logits.unsqueeze(1)
            return logits if count == 1 else torch.cat([logits, self._extend(answers, start, count - 1)], dim=1)
        end = start + count - 1
        width = int((end - self._right).max())
        # A row cannot give back its prompt: while some answer is shorter than the pass, the first tokens go ahead.
        if (ahead := width - int(end.min())) > 0:
            self._rewind(self._right)
            self._extend(answers, self._right, ahead)
            self._right = torch.minimum(self._held, end)
            width = int((end - self._right).max())
        width = max(width, count)
        self._rewind(end - width)
        return self._extend(answers, end - width, width)[:, -count:]

    def _rewind(self, lengths: Tensor) -> None:
        """Let the session hold `lengths` [rows] tokens of each answer."""
        counts = self._held - lengths
        if bool(counts.any()):
            self._session.rewind(counts)
        self._held = lengths

    def _extend(self, answers: Answers, first: Tensor, count: int) -> Tensor:
        tokens = answers.window(first, count)
        with self._meter.timed(self._name, len(answers), count):
            logits = self._session.extend(tokens)
        self._held = first + count
        return logits
