"""The prompts that wait for room in a batch that is being decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from qstar_pl.models.next_token import NextToken
from qstar_pl.models.padding import STRIDE
from qstar_pl.rollout.lockstep import Lockstep, start_each
from qstar_pl.types import PromptBatch

FOURS = 4
"""Rows that pass through a model together come in multiples of so many: matrix products of fewer are summed by other
kernels, and what is left of a tensor behind the last whole vector (32 numbers) is computed by others, too. A single
thread then gives each row bit for bit what it gives it among any others."""
Widths = Sequence[int]
"""Columns of the prompts as each model reads them, by role."""


class Waiting:
    """Rows of planned batches, in their order, each read just as its own batch would be.

    A prompt keeps the pads that it has in its batch, so that it is read bit for bit as it would be there.
    """

    def __init__(
        self, batches: Sequence[PromptBatch], models: Mapping[str, NextToken], samples: int, *, aligned: bool
    ) -> None:
        """Let all rows wait.

        Args:
            batches: prompts, each batch padded on its own.
            models: those that q needs, by role.
            samples: rows per prompt.
            aligned: whether rows may only join where they stand a multiple of `STRIDE` columns from where they would
                stand in their own batch.

        """
        self._read = [{role: model.read_by(batch) for role, model in models.items()} for batch in batches]
        self._sizes = [len(batch) * samples for batch in batches]
        self._next = [0] * len(batches)
        self._samples = samples
        self._stride = STRIDE if aligned else 1

    def widths(self, batch: int) -> Widths:
        """Return the columns of a batch's prompts by role."""
        return [prompts.prompt_ids.shape[1] for _, prompts in self._read[batch].values()]

    def __len__(self) -> int:
        return sum(self._sizes) - sum(self._next)

    def find(self, columns: Widths | None, room: int, least: int) -> int | None:
        """Return the first batch of which rows may join now; None: there is none.

        Args:
            columns: of the rows that run, by role; None: none run.
            room: rows that there is room for.
            least: rows that are worth a pass of their own; the last rows of a batch always are.

        """
        for batch, (size, begun) in enumerate(zip(self._sizes, self._next, strict=True)):
            if begun < size and min(least, size - begun) <= room and (columns is None or self._fits(batch, columns)):
                return batch
        return None

    def _fits(self, batch: int, columns: Widths) -> bool:
        return all((own - width) % self._stride == 0 for own, width in zip(columns, self.widths(batch), strict=True))

    def take(self, batch: int, room: int, beside: int) -> tuple[Tensor, Lockstep]:
        """Start up to `room` rows of a batch, for a place beside so many others.

        Returns:
            The rows' numbers within the batch [n] int64, and their sessions, in which copies of the last row make up
            the `FOURS`.

        """
        begun = self._next[batch]
        self._next[batch] = end = min(self._sizes[batch], begun + room)
        rows = torch.arange(begun, end)
        prompts = (rows // self._samples).unique_consecutive()
        read = self._companions(batch, prompts)
        sessions = start_each({role: (model, _some(own, read)) for role, (model, own) in self._read[batch].items()}, 1)
        copies = rows[-1:].expand(-(beside + len(rows)) % FOURS)
        places = torch.cat([rows, copies]) // self._samples - prompts[0]
        if len(places) != len(read) or not torch.equal(places, torch.arange(len(read))):
            sessions.select(places.to(sessions.device))
        return rows, sessions

    def _companions(self, batch: int, prompts: Tensor) -> Tensor:
        """Return `prompts` with others of their batch behind them, without which they would be read another way.

        A batch without pads is read without a mask, and so by another kernel: if the whole batch has some, so must
        this part of it. Copies make up the `FOURS`.
        """
        read = prompts
        for _, own in self._read[batch].values():
            padded_mask = ~own.prompt_mask.all(-1).cpu()
            if padded_mask.any() and not padded_mask[read].any():
                read = torch.cat([read, padded_mask.nonzero()[:1, 0]])
        return torch.cat([read, read[-1:].expand(-len(read) % FOURS)])


def _some(prompts: PromptBatch, rows: Tensor) -> PromptBatch:
    on_device = rows.to(prompts.prompt_ids.device)
    return replace(
        prompts,
        prompt_ids=prompts.prompt_ids[on_device],
        prompt_mask=prompts.prompt_mask[on_device],
        keys=prompts.keys[rows.to(prompts.keys.device)],
        examples=tuple(prompts.examples[i] for i in rows.tolist()) if prompts.examples else (),
    )
