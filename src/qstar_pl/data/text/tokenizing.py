"""All examples as token ids, made now or taken from the cache."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.data.text.encoding import Encoded, Encoder
from qstar_pl.data.text.token_cache import TokenCache, default_folder
from qstar_pl.types import Example

WORTH_A_FILE = 5000
"""Fewer rows than this are cached only in a folder that was asked for: they are tokenized in ten seconds or less."""


_LOOKED_AT = 50


@dataclass(frozen=True)
class Tokenized:
    """What became of the examples."""

    rows: list[Encoded]
    rejected: Counter[str]
    """Examples left out, per reason."""
    cache: str | None = None
    """What was done with the cache, for the report; None if it was left alone."""


def encode_all(encoder: Encoder, examples: Sequence[Example]) -> Tokenized:
    """Tokenize all examples once, and count those that the encoder leaves out, per reason."""
    rows: list[Encoded] = []
    rejected: Counter[str] = Counter()
    for example in examples:
        try:
            rows.append(encoder.encode(example))
        except RowRejected as reason:
            rejected[str(reason)] += 1
    return Tokenized(rows, rejected)


def encode_cached(encoder: Encoder, examples: Sequence[Example], cache_dir: str | None) -> Tokenized:
    """Return what `encode_all` returns, from the cache where it is there, else made and left there.

    The cache is a convenience: whatever is wrong with it (damaged, not readable, no space left) costs time, never the
    run, and is said in `Tokenized.cache`.

    Args:
        encoder: as for `encode_all`.
        examples: as for `encode_all`.
        cache_dir: folder; None takes the user's, for `WORTH_A_FILE` examples and more.

    """
    if cache_dir is None and len(examples) < WORTH_A_FILE:
        return encode_all(encoder, examples)
    try:
        folder = default_folder() if cache_dir is None else Path(cache_dir).expanduser()
    except RuntimeError as error:  # no home folder
        made = encode_all(encoder, examples)
        return Tokenized(made.rows, made.rejected, f"tokens not cached: {error}")
    cache = TokenCache(folder)
    file = cache.file(encoder, examples)
    if file is None:
        made = encode_all(encoder, examples)
        return Tokenized(made.rows, made.rejected, "tokens not cached: only fast tokenizers have a fingerprint")
    found = cache.load(file, examples)
    if found is not None and _as_made(encoder, examples, *found):
        return Tokenized(*found, f"tokens from {file}")
    damaged = os.path.lexists(file)
    made = encode_all(encoder, examples)
    try:
        cache.save(file, examples, made.rows, made.rejected)
    except OSError as error:
        return Tokenized(made.rows, made.rejected, f"tokens not cached: {error.strerror or error}: {folder}")
    note = f"tokens cached in {file}" + (", which could not be used" if damaged else "")
    return Tokenized(made.rows, made.rejected, note)


def _as_made(encoder: Encoder, examples: Sequence[Example], rows: Sequence[Encoded], rejected: Counter[str]) -> bool:
    """Return whether a sample of rows from the cache, and of what it leaves out, are what the encoder makes."""
    cached = {id(row.example): row for row in rows}
    step = max(len(examples) // _LOOKED_AT, 1)
    for example in [*examples[::step], *examples[-1:]]:
        made = encode_all(encoder, [example])
        row = cached.get(id(example))
        if row is None:
            if made.rows or not made.rejected.keys() <= rejected.keys():
                return False
        elif not made.rows or not _same_row(row, made.rows[0]):
            return False
    return True


def _same_row(one: Encoded, other: Encoded) -> bool:
    texts = [(one.prompt, other.prompt), (one.chosen, other.chosen), (one.rejected, other.rejected)]
    same = all(mine is yours if mine is None or yours is None else np.array_equal(mine, yours) for mine, yours in texts)
    return same and (one.prompt_cut, one.answers_cut) == (other.prompt_cut, other.answers_cut)
