"""From rows that were read to the encoded rows of each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from qstar_pl.checks import at_least
from qstar_pl.data.adapters.adapter import RowSource
from qstar_pl.data.adapters.rows import PartRows, Rows
from qstar_pl.data.selection.filters import RowFilter, apply_filters
from qstar_pl.data.selection.splits import Splits, check_fractions, first_prompts, split_by_prompt
from qstar_pl.data.selection.subset import subset
from qstar_pl.data.storage.encoded_rows import EncodedRows
from qstar_pl.data.storage.examples import Examples
from qstar_pl.data.storage.folder import CacheFolder
from qstar_pl.data.storage.row_cache import read_cached
from qstar_pl.data.storage.token_cache import Tokenized
from qstar_pl.data.storage.tokenizing import encode_all, encode_cached
from qstar_pl.data.text.chat import Dialogues
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.errors import UserError
from qstar_pl.types import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Selection:
    """Which of the rows are to be used, and how."""

    filters: tuple[RowFilter, ...] = ()
    subset_size: int | None = None
    system_prompt: str | None = None

    def __post_init__(self) -> None:
        at_least(1, subset_size=self.subset_size)

    def apply(
        self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase | None
    ) -> tuple[Examples, Counter[str]]:
        """Filter, then sub-sample, then put the system prompt before dialogues without one; count what is left out.

        The system prompt does not change a row's key, so it moves no row to another split or subset.
        """
        kept, rejected = apply_filters(self.filters, examples, tokenizer)
        if self.subset_size is not None and self.subset_size < len(kept):
            rejected[f"outside the subset of {self.subset_size} rows"] += len(kept) - self.subset_size
            kept = subset(kept, self.subset_size)
        if self.system_prompt is not None:
            kept = kept.with_system(self.system_prompt)
        return kept, rejected


@dataclass(frozen=True)
class Prepared:
    """Encoded rows, ready to be made into batches."""

    encoder: Encoder
    rows: EncodedRows
    """All that are used, validation and test without their limits."""
    splits: Splits
    rejected: Counter[str]
    """Rows left out after reading, per reason."""
    dialogues: Dialogues
    """Of all that are used, for `remarks`."""
    cache: str | None
    """See `Tokenized.cache`."""

    @property
    def pad_id(self) -> int:
        """What batches are padded with: any id will do, since masks say what counts."""
        pad = self.encoder.tokenizer.pad_token_id
        return 0 if pad is None else int(pad)


@dataclass(frozen=True)
class Parting:
    """How rows are parted into train, validation and test."""

    val_fraction: float
    test_fraction: float
    val_limit: int | None
    test_limit: int | None
    seed: int
    train_limit: int | None = None

    def __post_init__(self) -> None:
        check_fractions(self.val_fraction, self.test_fraction)
        for name in ("train_limit", "val_limit", "test_limit"):
            limit = getattr(self, name)
            at_least(1, **{name: limit})

    def apply(self, rows: EncodedRows, parts: Sequence[PartRows] = ()) -> Splits:
        """Split by prompt, then cut each split to its limit; see `split_by_prompt` for parts that are held out.

        Where one is, the limits of validation and test hold for each part: a small one would have no row left of its
        own beside a large one.
        """
        held_out = [part.name for part in parts if part.held_out]
        found = split_by_prompt(
            rows, val_fraction=self.val_fraction, test_fraction=self.test_fraction, seed=self.seed, held_out=held_out
        )
        names = [part.name for part in parts] if held_out else []
        return Splits(
            first_prompts(found.train, self.train_limit, self.seed),
            _first(found.val, self.val_limit, names),
            _first(found.test, self.test_limit, names),
        )


def _first(rows: EncodedRows, limit: int | None, parts: Sequence[str]) -> EncodedRows:
    """Return the first `limit` rows, of each part where parts are named."""
    if not parts or limit is None:
        return rows[:limit]
    return rows.take(np.sort(np.concatenate([rows.of_part(name)[:limit] for name in parts])))


@dataclass(frozen=True)
class Preparation:
    """Selects, tokenizes and splits."""

    selection: Selection
    parting: Parting
    cache: bool
    cache_dir: str | None

    def prepare(self, rows: Rows, encoder: Encoder, path: str) -> Prepared:
        """Return the rows of each split.

        Raises:
            UserError: if no row is left, or none of a part that is held out; `path` is what the message calls the data.

        """
        examples, rejected = self.selection.apply(rows.examples, encoder.tokenizer)
        made = self._tokenized(encoder, examples)
        rejected += made.rejected
        if not made.rows:
            reasons = "; ".join(f"{count}: {reason}" for reason, count in (rows.rejected + rejected).items())
            raise UserError(f"path must hold a usable row, got {rows.read} rows in {path} ({reasons or 'empty'})")
        for part in rows.parts:
            if part.held_out and not len(made.rows.of_part(part.name)):  # else its metrics would be missing, unsaid
                raise UserError(f"parts must hold a usable row if they are held out, got none of {part.name}")
        splits = self.parting.apply(made.rows, rows.parts)
        notices = "; ".join(notice for notice in (made.cache, rows.cache) if notice is not None)
        return Prepared(encoder, made.rows, splits, rejected, made.dialogues, notices or None)

    def read(self, source: RowSource, path: str, split: str | None, max_rows: int | None) -> Rows:
        """Return the rows of a source; those of a large dataset are stored in the cache's folder.

        Raises:
            UserError: as `RowSource.read` does.

        """
        try:
            cache = CacheFolder.of(self.cache_dir) if self.cache else None
        except RuntimeError:  # no home folder; `_tokenized` says so
            cache = None
        return read_cached(source, path, split, max_rows, cache)

    def _tokenized(self, encoder: Encoder, examples: Examples) -> Tokenized:
        if not self.cache:
            return encode_all(encoder, examples)
        try:
            return encode_cached(encoder, examples, CacheFolder.of(self.cache_dir))
        except RuntimeError as error:
            return replace(encode_all(encoder, examples), cache=f"tokens not cached: {error}")
