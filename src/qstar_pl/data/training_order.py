"""The order of training rows: plain, or in the shares of a mixture."""

from __future__ import annotations

from collections.abc import Sequence

from qstar_pl.data.encoding import Encoded
from qstar_pl.data.mixed_order import MixedOrder
from qstar_pl.data.order import Share, TrainOrder
from qstar_pl.data.rows import PartRows


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
    numbers: dict[str, list[int]] = {part.name: [] for part in parts}
    for number, row in enumerate(rows):
        numbers[row.example.metadata["part"]].append(number)
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
