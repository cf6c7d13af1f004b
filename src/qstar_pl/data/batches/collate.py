"""From encoded examples to the batches that a method trains on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from qstar_pl.data.storage.encoded_rows import EncodedRows
from qstar_pl.data.text.encoding import Encoded, Ids
from qstar_pl.errors import UserError
from qstar_pl.types import DemonstrationBatch, PreferenceBatch, PromptBatch, TensorFields


def pad(rows: Sequence[Ids], pad_id: int, *, left: bool) -> tuple[Tensor, Tensor]:
    """Return ids [rows, longest] int64 and their mask [rows, longest] bool (True: not a pad)."""
    longest = max(len(row) for row in rows)
    ids = np.full((len(rows), longest), pad_id, np.int64)
    mask = np.zeros((len(rows), longest), bool)
    for number, row in enumerate(rows):
        columns = slice(longest - len(row), longest) if left else slice(0, len(row))
        ids[number, columns] = row
        mask[number, columns] = True
    return torch.from_numpy(ids), torch.from_numpy(mask)


@dataclass(frozen=True)
class Collate(ABC):
    """Chooses the examples that one kind of batch can be made of, and makes it."""

    batch_type: ClassVar[type[TensorFields]]
    needs: ClassVar[str]
    """What an example must have, in the words of an error message."""

    pad_id: int
    """Any valid id: masks, never ids, say what counts."""

    @classmethod
    @abstractmethod
    def select(cls, rows: Iterable[Encoded]) -> EncodedRows:
        """Return the rows to make batches of, in their order."""

    @abstractmethod
    def __call__(self, rows: Sequence[Encoded]) -> TensorFields:
        """Make one batch."""

    def prompts(self, rows: Sequence[Encoded]) -> PromptBatch:
        """Return the rows' prompts, padded on the left."""
        ids, mask = pad([row.prompt for row in rows], self.pad_id, left=True)
        keys = torch.tensor([row.example.key for row in rows], dtype=torch.int64)
        return PromptBatch(ids, mask, keys, tuple(row.example for row in rows))


class PromptCollate(Collate):
    """Each prompt once, however many rows share it: the seed of a sample depends on its prompt alone."""

    batch_type = PromptBatch
    needs = "a prompt"

    @classmethod
    def select(cls, rows: Iterable[Encoded]) -> EncodedRows:
        """Return the first row of each prompt."""
        found = EncodedRows.of(rows)
        # unique orders by key; sorting the places restores the rows' own order.
        return found.take(np.sort(np.unique(found.keys, return_index=True)[1]))

    def __call__(self, rows: Sequence[Encoded]) -> PromptBatch:
        """Make one batch."""
        return self.prompts(rows)


class DemonstrationCollate(Collate):
    """Each row that has an answer."""

    batch_type = DemonstrationBatch
    needs = "an answer (chosen)"

    @classmethod
    def select(cls, rows: Iterable[Encoded]) -> EncodedRows:
        """Return the rows with an answer."""
        found = EncodedRows.of(rows)
        return found.take(found.has_chosen)

    def __call__(self, rows: Sequence[Encoded]) -> DemonstrationBatch:
        """Make one batch."""
        answers = [row.chosen for row in rows if row.chosen is not None]
        return DemonstrationBatch(self.prompts(rows), *pad(answers, self.pad_id, left=False))


class PreferenceCollate(Collate):
    """Each row that has two answers."""

    batch_type = PreferenceBatch
    needs = "a pair of answers (chosen and rejected)"

    @classmethod
    def select(cls, rows: Iterable[Encoded]) -> EncodedRows:
        """Return the rows with both answers."""
        found = EncodedRows.of(rows)
        return found.take(found.has_chosen & found.has_rejected)

    def __call__(self, rows: Sequence[Encoded]) -> PreferenceBatch:
        """Make one batch."""
        chosen = [row.chosen for row in rows if row.chosen is not None]
        rejected = [row.rejected for row in rows if row.rejected is not None]
        return PreferenceBatch(
            self.prompts(rows), *pad(chosen, self.pad_id, left=False), *pad(rejected, self.pad_id, left=False)
        )


COLLATES: tuple[type[Collate], ...] = (PromptCollate, DemonstrationCollate, PreferenceCollate)


def training_collate(wanted: type | None, rows: Sequence[Encoded]) -> type[Collate]:
    """Return what makes batches of the type `wanted`; without a wish, of the type with the most that the rows allow.

    Raises:
        UserError: if there are no batches of that type.

    """
    if wanted is None:
        return next(collate for collate in reversed(COLLATES) if collate.select(rows))
    for collate in COLLATES:
        if collate.batch_type is wanted:
            return collate
    raise UserError(f"model must train on one of {[c.batch_type.__name__ for c in COLLATES]}, got {wanted}")
