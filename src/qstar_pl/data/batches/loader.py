"""Iterables of batches: one that remembers where training stands, one for evaluation.

Neither is a torch DataLoader, though both are made of one. Lightning rebuilds DataLoaders (to inject a distributed
sampler), and sets their sampler's epoch after it has created the first iterator, so that a resumed run with workers
replays epoch 0 (Lightning issue 21938). It leaves other iterables alone, and saves and restores the position of one
that has `state_dict` and `load_state_dict`, before its iterator is made.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch.utils.data import DataLoader

from qstar_pl.data.batches.collate import COLLATES, Collate
from qstar_pl.data.batches.order import Share, TrainOrder, evaluation_batches
from qstar_pl.data.storage.encoded_rows import EncodedRows
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.types import TensorFields


@dataclass
class Position:
    """Where training stands: `batches` of epoch `epoch` have been handed to the trainer."""

    epoch: int = 0
    batches: int = 0


class Sealed:
    """A batch that nothing but `.to(device)` can look into.

    Lightning's true half and double precision plugins convert the floats inside every batch on its way to the device,
    and refuse frozen dataclasses. These batches hold ids and masks, so there is nothing to convert: sealed, they pass.
    """

    def __init__(self, batch: TensorFields) -> None:
        self.batch = batch

    def to(self, *args: Any, **kwargs: Any) -> TensorFields:
        """Return the batch itself, moved as by `Tensor.to`."""
        return self.batch.to(*args, **kwargs)


class EvaluationLoader:
    """The same batches every time, made in this process: rows are tokenized already, so a batch is only padding."""

    def __init__(self, rows: Sequence[Encoded], collate: Collate, batches: Sequence[list[int]], *, seal: bool) -> None:
        self.rows = rows
        self.collate = collate
        self.batches = batches
        self.seal = seal

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[TensorFields | Sealed]:
        for indices in self.batches:
            batch = self.collate([self.rows[index] for index in indices])
            yield Sealed(batch) if self.seal else batch


def evaluation_loaders(
    rows: Sequence[Encoded], pad_id: int, batch_size: int, share: Share, *, seal: bool
) -> list[EvaluationLoader]:
    """Return a loader of prompts and, where the rows have them, one of demonstrations and one of pairs."""
    loaders = []
    for kind in COLLATES:
        if usable := kind.select(rows):
            batches = evaluation_batches(len(usable), batch_size, share)
            loaders.append(EvaluationLoader(usable, kind(pad_id), batches, seal=seal))
    return loaders


class _Remaining:
    """The batch sampler of `TrainLoader`: what is left of the current epoch when an iterator is made."""

    def __init__(self, order: TrainOrder, position: Position) -> None:
        self.order = order
        self.position = position

    def __len__(self) -> int:
        return self.order.batches

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.order.epoch(self.position.epoch)[self.position.batches :])


def _ignore_interrupts(worker: int) -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the process that trains: it still needs batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class TrainLoader:
    """Batches of the current epoch, from the current position on.

    The position counts batches handed out, whatever worker processes have prepared ahead. Iterating again goes on
    where the last iteration stopped; after an epoch's last batch that is the next epoch. So the batches of a run are
    one sequence, and a run restored after k of them sees the rest of it.
    """

    def __init__(
        self,
        rows: Sequence[Encoded],
        collate: Collate,
        order: TrainOrder,
        position: Position,
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
        seal: bool = False,
        ahead: int = 0,
        unprocessed: Callable[[], int] = lambda: 0,
    ) -> None:
        """Prepare; workers start with the first batch.

        Args:
            rows: the encoded examples.
            collate: makes a batch of some of them.
            order: which rows make up which batch.
            position: where to begin; advanced in place.
            num_workers: processes that collate ahead.
            pin_memory: whether batches are copied to page-locked memory.
            seal: whether batches come as `Sealed`.
            ahead: how many batches of the epoch are read before they are handed out; see `coming`.
            unprocessed: called when the state is saved; returns how many of the batches handed out (0 or 1) the trainer
                has not finished, so that a checkpoint written because a step failed repeats that step's batch.

        """
        self.order = order
        self.position = position
        self.seal = seal
        self.coming: deque[TensorFields] = deque()
        """The batches after the one that was handed out last, as many as `ahead` says and the epoch has."""
        self._ahead = ahead
        self._unprocessed = unprocessed
        self._count = len(rows)
        self._digest = order.fingerprint(EncodedRows.of(rows).keys.tolist())
        self._loader: DataLoader[Any] = DataLoader(
            rows,  # type: ignore[arg-type]  # any sequence will do
            batch_sampler=_Remaining(order, position),
            collate_fn=collate,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            worker_init_fn=_ignore_interrupts,
            pin_memory=pin_memory,
            # Without a generator of its own, each new iterator draws a seed from the global one, which
            # shifts dropout's random numbers of a resumed run against the uninterrupted one's.
            generator=torch.Generator().manual_seed(0),
        )

    def __len__(self) -> int:
        return self.order.batches

    def __iter__(self) -> Iterator[TensorFields | Sealed]:
        batches = iter(self._loader)
        self.coming.clear()
        while True:
            self.coming.extend(islice(batches, self._ahead + 1 - len(self.coming)))
            if not self.coming:
                return
            batch = self.coming.popleft()
            # Before the batch is handed out: a checkpoint that is saved during its step counts it.
            self._advance()
            yield Sealed(batch) if self.seal else batch

    def _advance(self) -> None:
        self.position.batches += 1
        if self.position.batches >= self.order.epoch_batches:
            self.position.epoch, self.position.batches = self.position.epoch + 1, 0

    def close(self) -> None:
        """Stop the worker processes, where there are any."""
        iterator, self._loader._iterator = self._loader._iterator, None
        # Dropping the iterator stops them only once nothing else refers to it, a traceback for example.
        if (shutdown := getattr(iterator, "_shutdown_workers", None)) is not None:
            shutdown()

    def state_dict(self) -> dict[str, Any]:
        """Return the position in rows, so that it can be kept under another batch size or world size."""
        epoch, batches = self.position.epoch, self.position.batches - self._unprocessed()
        if batches < 0:  # the unfinished batch was the last of the epoch before
            epoch, batches = epoch - 1, self.order.epoch_batches - 1
        return {
            "epoch": epoch,
            "rows": batches * self.order.global_batch,
            "seed": self.order.seed,
            "digest": self._digest,
            "of_rows": self._count,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a saved position; with a larger batch, a batch that is begun there is taken as a whole again."""
        if (state["digest"], state["seed"]) != (self._digest, self.order.seed):
            rank_zero_warn(
                "The training rows or the data's seed differ from the checkpoint's: training goes on at the saved "
                "position in the new order, so rows of this epoch may be repeated or left out."
            )
        self.position.epoch = state["epoch"]
        self.position.batches = state["rows"] // self.order.global_batch  # rounded down: rows may repeat, none is lost
        if self.position.batches >= self.order.epoch_batches:
            self.position.epoch, self.position.batches = self.position.epoch + 1, 0
