"""Which rows make up which batch, on which rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from qstar_pl.errors import UserError
from qstar_pl.hashing import digest as hashed
from qstar_pl.hashing import number as hashed_number


@dataclass(frozen=True)
class Share:
    """Which part of every global batch this process takes."""

    rank: int = 0
    world_size: int = 1


@dataclass(frozen=True)
class TrainOrder:
    """The batches of every epoch: a pure function of the seed and the epoch's number.

    An epoch is a permutation of the rows cut into global batches of `batch_size` × world size, of which every rank
    takes its own part of equal size. Rows left over at an epoch's end wait for another epoch's permutation. Only if the
    rows do not fill one global batch, an epoch is one smaller batch (of as many rows as divide by the world size).
    """

    rows: int
    batch_size: int
    """Rows per batch and rank."""
    seed: int
    share: Share = Share()
    shuffle: bool = True
    limit: int | float = 1.0
    """As Trainer(limit_train_batches): an epoch ends after this many batches (int) or this share of them (float)."""

    def __post_init__(self) -> None:
        if self.rows < self.share.world_size:
            raise UserError(
                f"the training split must have a row for each of {self.share.world_size} processes, got {self.rows}"
            )

    @property
    def global_batch(self) -> int:
        """Rows that all ranks together take per batch."""
        world = self.share.world_size
        return min(self.batch_size, self.rows // world) * world

    @property
    def batches(self) -> int:
        """Batches in the whole permutation."""
        return self.rows // self.global_batch

    @property
    def epoch_batches(self) -> int:
        """Batches until the next epoch begins: `batches`, cut by `limit`; at least 1."""
        limit = self.limit if isinstance(self.limit, int) else int(self.batches * self.limit)
        return max(1, min(self.batches, limit))

    def permutation(self, number: int) -> list[int]:
        """Return the row numbers of epoch `number` in their order."""
        if not self.shuffle:
            return list(range(self.rows))
        order: list[int] = torch.randperm(self.rows, generator=generator(self.seed, number)).tolist()
        return order

    def fingerprint(self, keys: Sequence[int]) -> str:
        """Return a hash that, with the seed, identifies this order of rows with these prompts' keys."""
        return digest(keys)

    def epoch(self, number: int) -> list[list[int]]:
        """Return this rank's batches of row indices in epoch `number`."""
        # The same permutation on every rank, each of which takes its own slice of every global batch.
        order = self.permutation(number)
        size = self.global_batch // self.share.world_size
        starts = range(self.share.rank * size, self.epoch_batches * self.global_batch, self.global_batch)
        return [order[start : start + size] for start in starts]


def evaluation_batches(rows: int, batch_size: int, share: Share) -> list[list[int]]:
    """Return this rank's batches of row indices: every row exactly once over all ranks, none repeated.

    All ranks get the same number of batches (sharded models run in lockstep), of at least one row each. Where the rows
    do not divide, some ranks have one row less, and with a batch size of 1 some batch has two rows.

    Raises:
        UserError: if there are fewer rows than ranks.

    """
    if rows < share.world_size:
        raise UserError(f"an evaluation split must have a row for each of {share.world_size} processes, got {rows}")
    mine = range(share.rank, rows, share.world_size)
    fewest, most = rows // share.world_size, -(-rows // share.world_size)
    batches = min(-(-most // batch_size), fewest)  # no more than the rank with the fewest rows can fill
    # A start is moved to the left where a later batch would be left without a row.
    starts = [min(number * batch_size, len(mine) - (batches - number)) for number in range(batches)]
    return [list(mine[start:end]) for start, end in zip(starts, [*starts[1:], len(mine)], strict=True)]


def digest(numbers: Sequence[int | float]) -> str:
    """Return a short fingerprint of numbers in their order."""
    return hashed(",".join(map(str, numbers))).hex()


def generator(*parts: int | str) -> torch.Generator:
    """Return a generator seeded with `parts`: unlike sums of seeds, no two different ones are alike."""
    return torch.Generator().manual_seed(hashed_number(":".join(map(str, parts))))
