"""What followed the same words before is proposed again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.samplers.drafters.drafter import (
    Block,
    Drafter,
    Drafting,
    Passes,
    Proposal,
    Setting,
    expected_tokens,
    one_hot,
)
from qstar_pl.samplers.feeds.answers import Answers


@dataclass(frozen=True)
class PromptLookup(Drafter):
    """Proposes the token that followed the latest other occurrence of the row's last tokens, in prompt or answer.

    It costs no pass, and pays where answers repeat their prompt: summaries, edited text, code. Its p is 1 at the
    proposal, with which a refusal draws from q without that token.
    """

    longest: int = 4
    """Tokens that must agree: as many as there are, up to this number."""
    shortest: int = 2
    """And at least so many, at least 1; otherwise nothing is proposed."""

    def __post_init__(self) -> None:
        at_least(1, shortest=self.shortest)
        if self.longest < self.shortest:
            raise UserError(f"longest must be at least shortest ({self.shortest}), got {self.longest}")

    def start(self, setting: Setting) -> Drafting:
        """See `Drafter.start`."""
        return LookupDrafting(self, setting)


class Index:
    """What followed each sequence of `shortest` to `longest` tokens in one row the last time."""

    def __init__(self, longest: int, shortest: int, tokens: Iterable[int] = ()) -> None:
        self._sizes = range(longest, shortest - 1, -1)
        self._tokens: list[int] = []
        self._follower: dict[tuple[int, ...], int] = {}
        for token in tokens:
            self.append(token)

    def __len__(self) -> int:
        return len(self._tokens)

    def append(self, token: int) -> None:
        """Let the row grow."""
        for size in self._sizes:
            if size <= len(self._tokens):
                self._follower[tuple(self._tokens[-size:])] = token
        self._tokens.append(token)

    def guess(self, ahead: list[int]) -> int | None:
        """Return what comes behind the row and the proposals `ahead` of it; None: it is not known.

        It depends on the tokens alone, not on which of them are proposals still: `ahead` is searched, too.
        """
        row = self._tokens[-self._sizes.start :] + ahead
        for size in self._sizes:
            if size > len(row):
                continue
            end = row[-size:]
            # The latest occurrence: among the proposals, the last of which has no follower yet, else in the row.
            for stop in range(len(row) - 1, max(size, len(row) - len(ahead)) - 1, -1):
                if row[stop - size : stop] == end:
                    return row[stop]
            if (found := self._follower.get(tuple(end))) is not None:
                return found
        return None


class LookupDrafting(Drafting):
    """An index per row."""

    def __init__(self, drafter: PromptLookup, setting: Setting) -> None:
        self._drafter, self._setting = drafter, setting
        self._rows: list[Index] = []
        self._prompts: list[int] = []

    def propose(self, answers: Answers, place: int) -> Proposal:
        """See `Drafting.propose`."""
        self._catch_up(answers)
        ahead = answers.window(answers.lengths, place).tolist()
        guesses = [row.guess(proposals) for row, proposals in zip(self._rows, ahead, strict=True)]
        device = answers.ids.device
        mask = torch.tensor([guess is not None for guess in guesses], device=device)
        tokens = torch.tensor([guess or 0 for guess in guesses], device=device)
        return Proposal(one_hot(tokens, mask, self._setting.vocab_size), mask)

    def select(self, rows: Tensor) -> None:
        """See `Drafting.select`."""
        if self._rows:
            kept = rows.tolist()
            self._rows, self._prompts = [self._rows[i] for i in kept], [self._prompts[i] for i in kept]

    def block(self, k: int, acceptance: float) -> Block:
        """See `Drafting.block`."""
        passes = tuple(Passes(role, k + 1, 1.0) for role in self._setting.verifiers)
        return Block(expected_tokens(k, acceptance), passes)

    def _catch_up(self, answers: Answers) -> None:
        if not self._rows:
            options = (self._drafter.longest, self._drafter.shortest)
            self._rows = [Index(*options, prompt) for prompt in answers.prompts]
            self._prompts = [len(prompt) for prompt in answers.prompts]
        lengths = answers.lengths.tolist()
        for i, (row, prompt, length) in enumerate(zip(self._rows, self._prompts, lengths, strict=True)):
            if (known := len(row) - prompt) < length:
                for token in answers.ids[i, known:length].tolist():
                    row.append(token)
