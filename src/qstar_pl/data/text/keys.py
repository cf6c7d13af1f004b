"""The identity of a prompt."""

from __future__ import annotations

from qstar_pl.hashing import digest

_63_BITS = (1 << 63) - 1


def prompt_key(text: str) -> int:
    """Return a non-negative 63-bit hash of a prompt's text, so that it fits an int64 tensor.

    The same text gives the same key in every process, on every platform and for every PYTHONHASHSEED. Text is hashed
    as UTF-8; a lone surrogate, which JSON can carry, is kept as it stands. Two of n prompts collide with probability
    about n²/2⁶⁴: 3·10⁻⁸ for a million prompts.
    """
    return int.from_bytes(digest(text), "big") & _63_BITS
