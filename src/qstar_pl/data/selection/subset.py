"""Smaller datasets out of larger ones, nested."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence

from qstar_pl.data.storage.examples import Examples, as_examples
from qstar_pl.hashing import digest
from qstar_pl.types import Example


def subset_rank(example: Example) -> bytes:
    """Return a row's place in the order of sub-sampling: a hash of its prompt and answers, uniform over rows.

    It depends on nothing else, neither file, position nor seed, and has nothing to do with the hash behind the splits.
    """
    identity = json.dumps(["subset", example.key, example.chosen, example.rejected])
    return digest(identity, 16)


def subset(examples: Sequence[Example], size: int) -> Examples:
    """Return the `size` rows with the lowest ranks, in their given order; all rows, if there are fewer.

    A smaller subset is contained in a larger one, in whatever order the rows come and whatever other rows there are
    between them. Splits go by the prompt alone, so the splits of nested subsets are nested too.
    """
    examples = as_examples(examples)
    if size >= len(examples):
        return examples
    ranks = ((subset_rank(example), number) for number, example in enumerate(examples))
    return examples.take(sorted(number for _, number in heapq.nsmallest(size, ranks)))
