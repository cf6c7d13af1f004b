"""Rows by the number and the seed: the same in every process, and the first n of more are the same n."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from qstar_pl.checks import within
from qstar_pl.errors import UserError
from qstar_pl.hashing import number as hashed_number
from qstar_pl.tiny_world.dialogues import dialogue
from qstar_pl.tiny_world.posts import post
from qstar_pl.tiny_world.programs import program

Row = dict[str, Any]
_PATIENCE = 2000
"""Rows in succession without a new prompt after which a task counts as exhausted."""

MAKERS: Mapping[str, Callable[[random.Random], Row]] = {"dialogue": dialogue, "summary": post, "code": program}
"""Task → maker of one row."""


def stream(task: str, seed: int) -> Iterator[Row]:
    """Yield rows of one task whose prompts are all different, for as long as there are new ones.

    It ends when 2000 rows in succession have brought no new prompt.
    """
    # Seeded by a string: Python hashes it with SHA-512, not with its per-process hash.
    rng = random.Random(f"tiny world/{task}/{seed}")
    seen: set[str] = set()
    misses = 0
    while misses < _PATIENCE:
        row = MAKERS[task](rng)
        if row["prompt"] in seen:
            misses += 1
            continue
        seen.add(row["prompt"])
        misses = 0
        yield row


def _take(task: str, count: int, seed: int) -> list[Row]:
    if task not in MAKERS:
        raise UserError(f"task must be one of {', '.join(MAKERS)}, got {task}")
    rows = list(islice(stream(task, seed), count))
    if len(rows) < count:
        raise UserError(f"count must be at most {len(rows)}, the number of different {task} prompts, got {count}")
    return rows


def dialogues(count: int, seed: int) -> list[Row]:
    """Return HH-RLHF rows (`chosen`, `rejected`: whole dialogues) with the facts that the gold reward needs."""
    return _take("dialogue", count, seed)


def posts(count: int, seed: int) -> list[Row]:
    """Return TL;DR rows: `prompt` ends in "TL;DR:", `chosen` and `rejected` are summaries."""
    return _take("summary", count, seed)


def programs(count: int, seed: int) -> list[Row]:
    """Return programming problems: `prompt`, `chosen` and `rejected` bodies, `tests`."""
    return _take("code", count, seed)


def shows_good_answer(prompt: str, quality: float) -> bool:
    """Decide whether the demonstration for a prompt is the good answer; it is for a share `quality` of all prompts.

    It depends on the prompt alone: a higher quality keeps every good answer of a lower one.
    """
    # A number uniform on [0, 2⁶⁴) against a threshold that grows with `quality`.
    return hashed_number(f"demonstration/{prompt}", bits=64) < quality * 2**64


def demonstrations(count: int, seed: int, quality: float, task: str = "dialogue") -> list[Row]:
    """Return rows with one answer each, in `chosen`, of which a share of about `quality` in [0, 1] is good.

    The others are bad answers of all kinds; the column `good` tells which it is. The weaker policy of the embedded
    default is trained with 0.4 to 0.5, the expert with 1.
    """
    within("[0, 1]", quality=quality)
    rows = []
    for row in _take(task, count, seed):
        good = shows_good_answer(row["prompt"], quality)
        rows.append({**row, "chosen": row["chosen" if good else "rejected"], "rejected": None, "good": good})
    return rows
