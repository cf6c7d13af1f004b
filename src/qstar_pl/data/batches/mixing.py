"""The order of a mixture's rows: fixed shares of every epoch, each part in its own endless random order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from qstar_pl.data.adapters.rows import PartRows
from qstar_pl.data.batches.order import Share, TrainOrder, digest, generator
from qstar_pl.data.storage.encoded_rows import EncodedRows
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.errors import UserError


@dataclass(frozen=True)
class MixedOrder(TrainOrder):
    """As `TrainOrder`, but an epoch's `rows` are not each row once: every part has its share of them.

    The share is met to the nearest row and is the same in every epoch (largest remainders). A part's rows are taken
    from an endless sequence of permutations of them, and epoch e goes on where epoch e − 1 stopped; which part comes
    next within an epoch is a random permutation of the shares. All of it is a pure function of the seed and the
    epoch's number, so a position in rows is all that resuming needs, as for any order. A row repeats only after all
    other rows of its part have been seen.
    """

    names: tuple[str, ...] = ()
    """The parts' names, for errors."""
    parts: tuple[tuple[int, ...], ...] = ()
    """Row numbers of each part, as long as all of them together have every row once."""
    weights: tuple[float, ...] = ()
    """Relative shares."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, rows, count in zip(self.names, self.parts, self.counts, strict=True):
            if not rows:
                raise UserError(f"part {name} must leave a row to train on, got none")
            if not count:
                raise UserError(f"weight of {name} must give it a row in every epoch of {self.rows} rows, got less")

    @property
    def counts(self) -> list[int]:
        """Rows of each part in an epoch; they sum to `rows`."""
        shares = [self.rows * weight / sum(self.weights) for weight in self.weights]
        counts = [int(share) for share in shares]
        # Rounded down, and what is left goes to the largest remainders.
        by_remainder = sorted(range(len(shares)), key=lambda part: counts[part] - shares[part])
        for part in by_remainder[: self.rows - sum(counts)]:
            counts[part] += 1
        return counts

    def permutation(self, number: int) -> list[int]:
        """Return the row numbers of epoch `number` in their order."""
        number = number if self.shuffle else 0
        counts = self.counts
        # [rows] numbers of parts: first each as often as its count, then shuffled.
        labels = torch.repeat_interleave(torch.tensor(counts))
        labels = labels[torch.randperm(self.rows, generator=generator(self.seed, number))]
        streams = [self._stream(part, number * count) for part, count in enumerate(counts)]
        return [next(streams[label]) for label in labels.tolist()]

    def _stream(self, part: int, start: int) -> Iterator[int]:
        rows = self.parts[part]
        cycle, offset = divmod(start, len(rows))  # permutations used up before, rows used of the next
        while True:
            order = torch.randperm(len(rows), generator=generator(self.seed, f"part {part}", cycle)).tolist()
            yield from (rows[index] for index in islice(order, offset, None))
            cycle, offset = cycle + 1, 0

    def fingerprint(self, keys: Sequence[int]) -> str:
        """See `TrainOrder.fingerprint`; the parts and their weights count too."""
        return digest([*keys, *self.weights, *(len(rows) for rows in self.parts)])


def training_order(
    rows: Sequence[Encoded],
    parts: Sequence[PartRows],
    *,
    batch_size: int,
    seed: int,
    share: Share = Share(),
    shuffle: bool = True,
    limit: int | float = 1.0,
) -> TrainOrder:
    """Return the order of `rows`: each once per epoch, or by the parts' weights where they have any.

    Raises:
        UserError: if a process, or a part with a weight, is left without a row.

    """
    weights = [part.weight for part in parts if part.weight is not None]
    if not weights:
        return TrainOrder(len(rows), batch_size, seed, share, shuffle, limit)
    found = EncodedRows.of(rows)
    numbers = {part.name: found.of_part(part.name).tolist() for part in parts if not part.held_out}
    return MixedOrder(
        len(rows),
        batch_size,
        seed,
        share,
        shuffle,
        limit,
        names=tuple(numbers),
        parts=tuple(map(tuple, numbers.values())),
        weights=tuple(weights),
    )
