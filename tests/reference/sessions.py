"""Rows that grow by blocks, give tokens back and are chosen from, against rows that grow by one token at a time."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from qstar_pl.models import DecodeSession, NextToken
from qstar_pl.types import PromptBatch

SAMPLES, LONGEST = 2, 9


class OneByOne:
    """The logits behind any answer to any prompt, each read alone, token by token."""

    def __init__(self, model: NextToken, prompts: PromptBatch) -> None:
        self._model, self._prompts = model, prompts
        self._known: dict[tuple[int, ...], Tensor] = {}

    def logits(self, prompt: int, answer: tuple[int, ...]) -> Tensor:
        """Return the logits [vocab] behind an answer."""
        if (prompt, *answer) not in self._known:
            self._read(prompt, answer)
        return self._known[prompt, *answer]

    def _read(self, prompt: int, answer: tuple[int, ...]) -> None:
        one = slice(prompt, prompt + 1)
        kept = self._prompts.prompt_mask[prompt]
        alone = replace(
            self._prompts,
            prompt_ids=self._prompts.prompt_ids[one, kept],
            prompt_mask=self._prompts.prompt_mask[one, kept],
            keys=self._prompts.keys[one],
            examples=self._prompts.examples[one],
        )
        session = self._model.start(alone, 1)
        self._known[prompt,] = session.logits[0]
        for place, token in enumerate(answer):
            session.advance(torch.tensor([token]))
            self._known[prompt, *answer[: place + 1]] = session.logits[0]


def join(session: DecodeSession, model: NextToken, prompts: PromptBatch, age: int) -> list[tuple[int, list[int]]]:
    """Let all prompts but the first join, `age` tokens behind their beginning; return (prompt, answer) of each row."""
    others = PromptBatch(prompts.prompt_ids[1:], prompts.prompt_mask[1:], prompts.keys[1:], prompts.examples[1:])
    other = model.start(others, 1)
    token = torch.arange(len(others)) + 1
    for _ in range(age):
        other.advance(token)
    session.join(other)
    return [(i + 1, [int(t)] * age) for i, t in enumerate(token)]


def walk(model: NextToken, prompts: PromptBatch, seed: int = 0, steps: int = 14, tolerance: float = 1e-6) -> set[str]:
    """Do random things to a session and compare its logits after each; return what was done."""
    generator = torch.Generator().manual_seed(seed)
    slow = OneByOne(model, prompts)

    def integers(high: int, size: tuple[int, ...]) -> Tensor:
        return torch.randint(high, size, generator=generator)

    def check(found: Tensor, answers: list[tuple[int, list[int]]]) -> None:
        expected = torch.stack([slow.logits(prompt, tuple(answer)) for prompt, answer in answers])
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)

    session = model.start(prompts, SAMPLES)
    rows: list[tuple[int, list[int]]] = [(i, []) for i in range(len(prompts)) for _ in range(SAMPLES)]
    done = set()
    for step in range(steps):
        longest = max(len(answer) for _, answer in rows)
        kind = ("extend", "rewind", "select", "advance")[step % 2 and int(integers(4, ()))]
        if kind in ("extend", "advance") and longest + 3 > LONGEST:
            kind = "rewind"
        if kind == "extend":
            tokens = integers(model.vocab_size, (len(rows), 1 + int(integers(3, ()))))
            before = [(prompt, list(answer)) for prompt, answer in rows]
            block = session.extend(tokens)
            for place in range(tokens.shape[1]):
                so_far = [(p, [*a, *t[: place + 1]]) for (p, a), t in zip(before, tokens.tolist(), strict=True)]
                check(block[:, place], so_far)
            rows = so_far
        elif kind == "advance":
            token = integers(model.vocab_size, (len(rows),))
            session.advance(token)
            rows = [(p, [*a, t]) for (p, a), t in zip(rows, token.tolist(), strict=True)]
        elif kind == "rewind":
            # Now and then all the way, now and then less than the last block.
            whole = torch.tensor([len(answer) for _, answer in rows])
            counts = whole if int(integers(4, ())) == 0 else torch.minimum(whole, integers(3, (len(rows),)))
            session.rewind(counts)
            rows = [(p, a[: len(a) - c]) for (p, a), c in zip(rows, counts.tolist(), strict=True)]
            done.add("uneven" if len(set(counts.tolist())) > 1 else "even")
        else:
            chosen = integers(len(rows), (3 + int(integers(3, ())),))
            session.select(chosen)
            rows = [(rows[i][0], list(rows[i][1])) for i in chosen.tolist()]
            if model.joins:
                rows += join(session, model, prompts, age=step % 3)
                done.add("join")
        done.add(kind)
        if int(integers(2, ())):  # sometimes the rows grow again before anybody asks
            check(session.logits, rows)
    return done
