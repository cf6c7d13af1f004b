"""Train, validation and test parts that share no prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qstar_pl.checks import within
from qstar_pl.data.storage.encoded_rows import EncodedRows
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.errors import UserError


@dataclass(frozen=True)
class Splits:
    """The three parts of a dataset."""

    train: EncodedRows
    """In the order of the input."""
    val: EncodedRows
    """In a random order that depends on prompts and seed alone, so that its first n are a fair sample."""
    test: EncodedRows
    """As `val`."""


def prompt_positions(keys: Iterable[int], seed: int) -> NDArray[np.float64]:
    """Return a number in [0, 1) per prompt, uniform over prompts, the same in every process and file order.

    It is `hashing.number(f"{seed}:{key}", bits=53) / 2**53`, in half the time for many prompts.
    """
    hashes = b"".join([hashlib.blake2b(b"%d:%d" % (seed, key), digest_size=8).digest() for key in keys])
    return (np.frombuffer(hashes, ">u8") >> 11).astype(np.float64) / 2**53  # 53 bits: exact as a float


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """Check the sizes of the parts.

    Raises:
        UserError: if a fraction lies outside [0, 1] or they sum to more than 1.

    """
    for name, fraction in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
        within("[0, 1]", **{name: fraction})
    if val_fraction + test_fraction > 1:
        raise UserError(f"val_fraction + test_fraction must be at most 1, got {val_fraction} + {test_fraction}")


def split_by_prompt(
    rows: Iterable[Encoded], *, val_fraction: float, test_fraction: float, seed: int, held_out: Collection[str] = ()
) -> Splits:
    """Put each prompt, with all of its rows, into one part.

    A prompt's part depends on its key and the seed, not on the rows around it: rows can be reordered, added or removed
    without any other prompt changing sides. Positions in [0, test_fraction) are test, the next val_fraction are
    validation; so a change of val_fraction leaves test as it is. Fractions are of prompts, and met in expectation.

    Prompts of the parts `held_out` are not trained on: their positions are drawn together into the range of the two.

    Raises:
        UserError: if parts are held out, and both fractions are 0.

    """
    found = EncodedRows.of(rows)
    positions = prompt_positions(found.keys.tolist(), seed)
    if held_out:
        if not val_fraction + test_fraction:
            raise UserError(
                f"val_fraction + test_fraction must be above 0 where a part is held out, got {val_fraction} + "
                f"{test_fraction} with {', '.join(held_out)}"
            )
        # The last place of a product may be rounded up to the end of the range, which is no longer in it.
        drawn = np.minimum(positions * (val_fraction + test_fraction), np.nextafter(val_fraction + test_fraction, 0))
        positions = np.where(found.with_prompts_of(held_out), drawn, positions)
    order = np.argsort(positions, kind="stable")  # stable: rows of one prompt keep the order of the input
    test, rest = positions < test_fraction, positions >= test_fraction + val_fraction
    of_val = ~test & ~rest
    return Splits(
        found.take(np.flatnonzero(rest & ~test)), found.take(order[of_val[order]]), found.take(order[test[order]])
    )


def first_prompts(rows: EncodedRows, limit: int | None, seed: int) -> EncodedRows:
    """Return the `limit` rows whose prompts have the lowest positions, in their given order: nested, and a fair sample.

    All rows, if `limit` is None or there are fewer.
    """
    if limit is None or limit >= len(rows):
        return rows
    order = np.argsort(prompt_positions(rows.keys.tolist(), seed), kind="stable")
    return rows.take(np.sort(order[:limit]))
