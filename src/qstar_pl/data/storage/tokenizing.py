"""All examples as token ids, made now or taken from the cache."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qstar_pl.data.storage.encoded_rows import EncodedRows
from qstar_pl.data.storage.examples import Examples, as_examples
from qstar_pl.data.storage.folder import CacheFolder
from qstar_pl.data.storage.identity import tokens_identity
from qstar_pl.data.storage.token_cache import Tokenized, encoded, load_tokens, write_tokens
from qstar_pl.data.text.chat import Dialogues
from qstar_pl.data.text.encoding import Encoded, Encoder
from qstar_pl.types import Example

_LOOKED_AT = 50
"""About how many examples are tokenized again to see that a cached file is right."""


def encode_all(encoder: Encoder, examples: Sequence[Example]) -> Tokenized:
    """Tokenize all examples in memory, and count those that the encoder leaves out, per reason."""
    rejected: Counter[str] = Counter()
    rows = [row for _, row in encoded(encoder, examples, rejected)]
    return Tokenized(EncodedRows.of(rows), rejected, Dialogues.of(row.example.turns for row in rows))


def encode_cached(encoder: Encoder, examples: Sequence[Example], cache: CacheFolder) -> Tokenized:
    """Return what `encode_all` returns, from the cache where it is there, else made and left there.

    The cache is a convenience: whatever is wrong with it (damaged, not readable, no space left) costs time, never the
    run, and is said in `Tokenized.cache`.
    """
    if not cache.is_worth(len(examples)):
        return encode_all(encoder, examples)
    examples = as_examples(examples)
    name = tokens_identity(encoder, examples)
    if name is None:
        return replace(
            encode_all(encoder, examples), cache="tokens not cached: only fast tokenizers have a fingerprint"
        )
    file = cache.folder / f"{name}.tokens.arrow"
    found = load_tokens(file, examples)
    if found is not None and _as_made(encoder, examples, found):
        return replace(found, cache=f"tokens from {file}")
    damaged = os.path.lexists(file)
    try:
        made = write_tokens(file, encoder, examples)
    except OSError as error:
        return replace(
            encode_all(encoder, examples), cache=f"tokens not cached: {error.strerror or error}: {cache.folder}"
        )
    return replace(made, cache=f"tokens cached in {file}" + (", which could not be used" if damaged else ""))


def _as_made(encoder: Encoder, examples: Examples, found: Tokenized) -> bool:
    """Return whether a sample of rows from the cache, and of what it leaves out, are what the encoder makes."""
    rows, numbers = found.rows, found.numbers
    assert numbers is not None, "these rows are a file's"
    step = max(len(examples) // _LOOKED_AT, 1)
    for number in sorted({*range(0, len(examples), step), *range(len(examples))[-1:]}):
        made = encode_all(encoder, [examples[number]])
        at = int(np.searchsorted(numbers, number))  # the example's row, if it was not left out
        if at == len(numbers) or numbers[at] != number:
            if made.rows or not made.rejected.keys() <= found.rejected.keys():
                return False
        elif not made.rows or not _same_row(rows[at], made.rows[0]) or rows.keys[at] != examples[number].key:
            return False
    return True


def _same_row(one: Encoded, other: Encoded) -> bool:
    texts = [(one.prompt, other.prompt), (one.chosen, other.chosen), (one.rejected, other.rejected)]
    same = all(mine is yours if mine is None or yours is None else np.array_equal(mine, yours) for mine, yours in texts)
    return same and (one.prompt_cut, one.answers_cut) == (other.prompt_cut, other.answers_cut)
