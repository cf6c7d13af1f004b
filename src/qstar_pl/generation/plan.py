"""Which prompts are decoded together: fixed before the first token, and equal in all processes and restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from qstar_pl.data.records import json_line, original_fields
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.hashing import hasher

MOST_TOGETHER = 16
"""Batches in a unit, at most: so many are decoded again after a kill."""
LEAST_UNITS = 4
"""Units that a dataset has at least, if it has as many batches, for processes to share. Their number depends on the
data alone, so that any number of processes can go on with a run. Fewer are faster: places that no prompt can take any
more stand empty at the end of a unit, and among more batches there is sooner one that may join."""


@dataclass(frozen=True)
class Plan:
    """Batches of prompts, longest first, so that a lack of memory shows at once.

    A row's text depends on its own seed; but in another batch, with other padding, the same sums are rounded
    differently, which changes one token in many thousands. So the batch, not the row, is the unit that is dealt to
    processes, written as a whole, and repeated if it was lost. Where rows that end make room for others, several
    batches are one unit.
    """

    batches: tuple[tuple[int, ...], ...]
    """Prompts of each unit, by their index in the data."""
    samples: int
    """Answers to each prompt."""

    @property
    def rows(self) -> int:
        """Number of answers of the whole plan."""
        return self.samples * sum(map(len, self.batches))

    def rows_of(self, batch: int) -> list[int]:
        """Return the rows of the output that a batch's answers become, in the order in which they are decoded."""
        return [prompt * self.samples + sample for prompt in self.batches[batch] for sample in range(self.samples)]


def plan_batches(lengths: Sequence[int], batch_size: int, samples: int, *, refill: bool = False) -> Plan:
    """Put prompts of similar length together.

    Args:
        lengths: tokens of each prompt.
        batch_size: prompts per batch.
        samples: answers to each prompt.
        refill: whether several batches are one unit, within which rows that end make room for others.

    """
    # Ties are broken by index, so that the plan is the same everywhere.
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    starts = range(0, len(order), batch_size)
    batches = [tuple(order[start : start + batch_size]) for start in starts]
    if refill:
        units = max(min(LEAST_UNITS, len(batches)), -(-len(batches) // MOST_TOGETHER))
        # Every unit has prompts of all lengths: it begins with the longest, and short ones find room beside them.
        batches = [tuple(chain.from_iterable(batches[unit::units])) for unit in range(units)]
    return Plan(tuple(batches), samples)


def prompts_digest(prompts: Sequence[Encoded]) -> str:
    """Return a fingerprint of the prompts as the policy reads them, and of their rows' fields, in their order."""
    digest = hasher()
    for prompt in prompts:
        digest.update(f"{prompt.example.key}:{len(prompt.prompt)};".encode())
        # Little-endian, so that the digest is the same on every machine.
        digest.update(prompt.prompt.astype("<i4").tobytes())
        digest.update(json_line(original_fields(prompt.example)))
    return digest.hexdigest()
