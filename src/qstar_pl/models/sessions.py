"""Growing batches of a language model, with and without a cache."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.models.alignment import Alignment
from qstar_pl.models.cache import cut_cache, join_caches, repeat_cache, select_cache, smallest_window, trim_cache
from qstar_pl.models.freeze import eval_mode
from qstar_pl.models.inputs import check_tokens, fill_masked, position_ids
from qstar_pl.models.last_logits import LastLogits
from qstar_pl.models.next_token import DecodeSession
from qstar_pl.models.padding import pad_left, spare_columns
from qstar_pl.types import PromptBatch

if TYPE_CHECKING:
    from qstar_pl.models.language_model import LanguageModel


class _Session(DecodeSession):
    """What both kinds share: the tokens of the rows, and the logits behind the last of them."""

    def __init__(self, owner: LanguageModel, prompts: PromptBatch, samples: int) -> None:
        """Read the prompts.

        Args:
            owner: the model.
            prompts: padded on the left.
            samples: rows per prompt.

        """
        self._owner = owner
        mask = prompts.prompt_mask
        ids = fill_masked(prompts.prompt_ids, mask)
        # [prompts, 1]: the number of tokens so far, which is also the position of the next one.
        positions = mask.long().sum(-1, keepdim=True)
        with torch.no_grad():
            logits = self._begin(ids, mask, samples)
        # Columns as they came: they are joined only when they are asked for.
        self._pieces = [ids.repeat_interleave(samples, dim=0)]
        # Without any pad there is nothing to mask out, and attention without a mask is the faster one.
        self._mask = None if bool(mask.all()) else mask.repeat_interleave(samples, dim=0)
        self._positions = positions.repeat_interleave(samples, dim=0)
        self._prompt_lengths = self._positions.squeeze(-1)
        self._length = int(self._positions.max())
        self._last = LastLogits(owner.logits(logits).unsqueeze(1))

    @property
    def logits(self) -> Tensor:
        """See `DecodeSession.logits`."""
        if (known := self._last.known) is not None:
            return known
        # They were not kept: the last token is taken out and read once more.
        last = self._ids[:, -1:]
        self._keep(Alignment(self._columns, self._lengths - 1, torch.ones_like(self._lengths)))
        return self._append(last)[:, -1]

    def advance(self, token_ids: Tensor) -> None:
        """See `DecodeSession.advance`."""
        self._append(token_ids.unsqueeze(-1))

    def extend(self, token_ids: Tensor) -> Tensor:
        """See `DecodeSession.extend`."""
        return self._append(token_ids)

    def rewind(self, counts: Tensor) -> None:
        """See `DecodeSession.rewind`."""
        counts = counts.to(self._lengths)
        alignment = Alignment.of(self._columns, self._lengths, counts, self._lengths - self._prompt_lengths)
        if bool(counts.any()):
            self._keep(alignment)
            self._last.rewind(counts)

    def select(self, rows: Tensor) -> None:
        """See `DecodeSession.select`."""
        rows = rows.to(self._positions.device)
        self._pieces = [self._ids[rows]]
        self._mask = None if self._mask is None else self._mask[rows]
        self._positions, self._prompt_lengths = self._positions[rows], self._prompt_lengths[rows]
        self._length = int(self._positions.max())
        self._last.select(rows)

    @property
    def columns(self) -> int:
        """See `DecodeSession.columns`."""
        return self._columns

    def trim(self) -> None:
        """See `DecodeSession.trim`."""
        self._trim(spare_columns(self._columns, self._length))

    def join(self, other: DecodeSession) -> None:
        """See `DecodeSession.join`: pads on the left make up for the difference in columns."""
        if not isinstance(other, type(self)) or other._owner.model is not self._owner.model:
            raise ValueError(f"other must be a session of the same model, got {type(other).__name__}")
        # First: what is not known is computed from the caches as they are.
        self._last = LastLogits(torch.cat([self.logits, other.logits]).unsqueeze(1))
        self.trim()
        self._take_in(other)
        columns = max(self._columns, other._columns)
        masks = [pad_left(session._known_mask, columns, 1) for session in (self, other)]
        self._pieces = [torch.cat([pad_left(session._ids, columns, 1) for session in (self, other)])]
        mask = torch.cat(masks)
        self._mask = None if bool(mask.all()) else mask
        self._positions = torch.cat([self._positions, other._positions])
        self._prompt_lengths = torch.cat([self._prompt_lengths, other._prompt_lengths])
        self._length = max(self._length, other._length)

    def _take_in(self, other: Any) -> None:
        """Join what is kept beside the tokens; called before the tokens are joined."""

    def _trim(self, count: int) -> None:
        """Drop `count` columns on the left, where every row has pads."""
        if count > 0:
            self._pieces = [self._ids[:, count:]]
            self._mask = None if self._mask is None or bool(self._mask[:, count:].all()) else self._mask[:, count:]

    @property
    def _known_mask(self) -> Tensor:
        return torch.ones_like(self._ids, dtype=torch.bool) if self._mask is None else self._mask

    @abstractmethod
    def _begin(self, ids: Tensor, mask: Tensor, samples: int) -> Tensor:
        """Read prompts, and return the model's own logits [prompts × samples, vocab] behind them."""

    @abstractmethod
    def _read(self, token_ids: Tensor) -> Tensor:
        """Read columns [rows, k] that now belong to the rows, and return the model's own logits [rows, k, vocab]."""

    def _append(self, token_ids: Tensor) -> Tensor:
        count = token_ids.shape[1]
        self._length += count
        check_tokens(self._owner.capabilities.context, self._length)
        self._pieces.append(token_ids.clone())  # the caller may write the next tokens into its tensor
        if self._mask is not None:
            # Before the pass: the mask covers what the cache holds and the new columns.
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), count)], dim=1)
        with torch.no_grad():
            logits = self._owner.logits(self._read(token_ids))
        self._positions = self._positions + count
        self._last = LastLogits(logits)
        return logits

    def _keep(self, alignment: Alignment) -> None:
        """Let the rows end where `alignment` says."""
        self._pieces = [alignment.apply(self._ids)]
        self._positions = alignment.lengths.unsqueeze(-1)
        self._length = int(alignment.lengths.max())
        self._mask = None if bool(alignment.mask.all()) else alignment.mask

    @property
    def _ids(self) -> Tensor:
        if len(self._pieces) > 1:
            self._pieces = [torch.cat(self._pieces, dim=1)]
        return self._pieces[0]

    @property
    def _columns(self) -> int:
        return sum(piece.shape[1] for piece in self._pieces)

    @property
    def _lengths(self) -> Tensor:
        return self._positions.squeeze(-1)


class CachedSession(_Session):
    """One growing batch with its cache; every prompt is read once, then its cache is repeated for each of its rows."""

    _cache: Any

    def extend(self, token_ids: Tensor) -> Tensor:
        """See `DecodeSession.extend`; token by token where the model's cache takes no more at a time."""
        if token_ids.shape[1] == 1 or self._owner.rewinds:
            return super().extend(token_ids)
        return DecodeSession.extend(self, token_ids)

    def rewind(self, counts: Tensor) -> None:
        """See `DecodeSession.rewind`."""
        if not self._owner.rewinds:
            raise UserError(
                "model must keep a key-value cache that can be cut, for a sampler that takes tokens back, got "
                f"{self._owner.capabilities.family}"
            )
        super().rewind(counts)

    @property
    def room(self) -> int | None:
        """See `DecodeSession.room`: a sliding window that has moved on has forgotten what would be seen again."""
        window = smallest_window(self._cache)
        return None if window is None else max(0, window - 1 - self._columns)

    def select(self, rows: Tensor) -> None:
        """See `DecodeSession.select`."""
        self._cache = select_cache(self._cache, rows.to(self._positions.device))
        super().select(rows)

    def _begin(self, ids: Tensor, mask: Tensor, samples: int) -> Tensor:
        with eval_mode(self._owner.model):
            logits, cache = self._owner.reader.begin(ids, None if bool(mask.all()) else mask, position_ids(mask))
            self._cache = repeat_cache(cache, len(ids), samples)
        return logits if samples == 1 else logits.repeat_interleave(samples, dim=0)

    def _read(self, token_ids: Tensor) -> Tensor:
        positions = self._positions
        if (count := token_ids.shape[1]) > 1:
            positions = positions + torch.arange(count, device=positions.device)
        with eval_mode(self._owner.model):
            logits, self._cache = self._owner.reader.step(token_ids, self._mask, positions, self._cache)
        return logits

    def _keep(self, alignment: Alignment) -> None:
        cut_cache(self._cache, alignment)  # first: it may refuse, and then the session is as it was
        super()._keep(alignment)

    def join(self, other: DecodeSession) -> None:
        """See `DecodeSession.join`."""
        if not self._owner.joins:
            raise UserError(
                "model must keep a key-value cache without sliding windows, for rows that join a batch, got "
                f"{self._owner.capabilities.family}"
            )
        super().join(other)

    def _take_in(self, other: CachedSession) -> None:
        join_caches(self._cache, other._cache, max(self._columns, other._columns))

    def _trim(self, count: int) -> None:
        if count > 0:
            trim_cache(self._cache, count)
        super()._trim(count)


class RereadingSession(_Session):
    """One growing batch of a model without a usable cache: every token costs a pass over the whole sequences."""

    def _begin(self, ids: Tensor, mask: Tensor, samples: int) -> Tensor:
        rows, rows_mask = ids.repeat_interleave(samples, dim=0), mask.repeat_interleave(samples, dim=0)
        return self._owner.read(rows, rows_mask, 1)["logits"][:, -1]

    def _read(self, token_ids: Tensor) -> Tensor:
        return self._owner.read(self._ids, self._known_mask, token_ids.shape[1])["logits"]
