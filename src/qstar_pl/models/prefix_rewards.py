"""Rewards of many one-token extensions of growing sequences, from one reading of what they share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.models.alignment import Alignment
from qstar_pl.models.cache import cut_cache, join_caches, select_cache, trim_cache
from qstar_pl.models.freeze import eval_mode
from qstar_pl.models.inputs import check_length, fill_masked
from qstar_pl.models.padding import pad_left, spare_columns
from qstar_pl.models.probe import TOKENS, same, undisturbed, works
from qstar_pl.models.reward_model import RewardModel


class PrefixRewards:
    """The reward model's value of `prefix + token` for chosen tokens behind chosen prefixes.

    Every candidate token enters the forward pass as a query of its own that sees its prefix and itself, at the
    position behind the prefix. The prefix lies in a key-value cache and is read once, however many candidates extend
    it; the candidates' own entries are dropped from the cache again. The attention must take a mask per query (eager,
    sdpa), and the cache must hold the whole prefix, which layers with a sliding window do only while it is short.
    """

    def __init__(self, scorer: RewardModel) -> None:
        """Begin with empty sequences.

        Args:
            scorer: a model with key-value cache.

        Raises:
            UserError: if its weights, tried out once, give extended prefixes other rewards than they get alone.

        """
        if scorer.reads_prefixes is None:
            scorer.reads_prefixes = True  # for the trial itself, which makes a PrefixRewards of its own
            scorer.reads_prefixes = _agrees(scorer)
        if not scorer.reads_prefixes:
            raise UserError(
                "model must take a mask for each query and keep a cache that can be cut, for rewards of prefixes; got "
                f"{scorer.model.config.model_type} with attention {scorer.model.config._attn_implementation}"
            )
        self._scorer = scorer
        self._context, self._window = scorer.capabilities.context, scorer.capabilities.window
        self._cache: Any = None
        self._mask: Tensor | None = None

    @property
    def length(self) -> int:
        """Columns read so far, pads included."""
        return 0 if self._mask is None else self._mask.shape[1]

    @torch.no_grad()
    def read(self, ids: Tensor, mask: Tensor, candidates: Tensor, prefix_ends: Tensor) -> Tensor:
        """Append `ids` to the sequences and return the rewards [rows, candidates] float32 of the extended prefixes.

        Args:
            ids: [rows, n] int64; n may be 0 after the first call.
            mask: [rows, n] bool.
            candidates: [rows, candidates] int64, the tokens that extend a prefix.
            prefix_ends: [candidates] int64, the last column of each one's prefix, counted from the first call on.

        """
        before = self.length
        columns_mask = mask if self._mask is None else torch.cat([self._mask, mask], dim=1)
        model, (rows, count) = self._scorer.model, candidates.shape
        # One more: each candidate is alone behind its prefix, however many there are.
        check_length(self._context, torch.cat([columns_mask, columns_mask.new_ones(rows, 1)], dim=1))
        if self._window is not None and columns_mask.shape[1] + count >= self._window:
            raise UserError(
                f"prompt, answer and candidates must fit into the reward model's sliding window of {self._window} "
                f"columns, got {columns_mask.shape[1]} + {count}"
            )
        columns = torch.arange(columns_mask.shape[1], device=ids.device)
        # Queries are the new tokens, then the candidates: `ends` [queries] is the last column that each sees.
        ends = torch.cat([columns[before:], prefix_ends])
        seen = (columns <= ends.unsqueeze(-1)) & columns_mask.unsqueeze(1)
        # Keys of candidates lie behind all columns, and each is seen by its own candidate alone: [queries, candidates].
        own = torch.eye(len(ends), dtype=torch.bool, device=ids.device)[:, len(ends) - count :]
        seen = torch.cat([seen, own.expand(rows, -1, -1)], dim=-1)
        # A candidate's position is the number of tokens in its prefix, wherever its key lies.
        tokens_so_far = columns_mask.long().cumsum(-1)
        positions = torch.cat([tokens_so_far[:, before:] - 1, tokens_so_far[:, prefix_ends]], dim=1).clamp_min_(0)
        # Finite, since a pad's query sees nothing and softmax of −inf alone is NaN; still finite in the float32 that
        # eager attention computes its softmax in, and with a score added to it.
        hidden = max(torch.finfo(model.dtype).min, torch.finfo(torch.float32).min) / 2
        additive = torch.zeros((), dtype=model.dtype, device=ids.device).expand_as(seen)
        additive = additive.masked_fill(~seen, hidden)
        with eval_mode(model):
            values, output = self._scorer.head_values(
                input_ids=torch.cat([fill_masked(ids, mask), candidates], dim=1),
                attention_mask=additive.unsqueeze(1),
                position_ids=positions,
                past_key_values=self._cache,
                use_cache=True,
            )
        self._cache, self._mask = output.past_key_values, columns_mask
        # The last `count` entries are the candidates': the cache holds the shared sequence alone again.
        self._cache.crop(-count)
        return values[:, -count:]

    def repeat(self, times: int) -> None:
        """Repeat every sequence, copies adjacent."""
        if times != 1 and self._mask is not None:
            self._cache.batch_repeat_interleave(times)
            self._mask = self._mask.repeat_interleave(times, dim=0)

    def rewind(self, counts: Tensor) -> None:
        """Take back the last `counts` [rows] tokens of every sequence, which keeps at least one."""
        if self._mask is None or not bool(counts.any()):
            return
        lengths = self._mask.sum(-1)
        alignment = Alignment.of(self.length, lengths, counts.to(lengths), lengths - 1)
        cut_cache(self._cache, alignment)
        self._mask = alignment.mask

    def select(self, rows: Tensor) -> None:
        """Go on with the sequences `rows` [n] alone."""
        if self._mask is not None:
            rows = rows.to(self._mask.device)
            self._cache, self._mask = select_cache(self._cache, rows), self._mask[rows]

    def trim(self) -> None:
        """Drop columns on the left that no sequence needs any more; see `DecodeSession.trim`."""
        if self._mask is not None and (spare := spare_columns(self.length, int(self._mask.sum(-1).max()))) > 0:
            trim_cache(self._cache, spare)
            self._mask = self._mask[:, spare:]

    def join(self, other: PrefixRewards) -> None:
        """Take in the sequences of another, behind one's own."""
        self.trim()
        assert self._mask is not None, "sequences join once they are read"
        assert other._mask is not None, "sequences join once they are read"
        columns = max(self.length, other.length)
        join_caches(self._cache, other._cache, columns)
        self._mask = torch.cat([pad_left(mask, columns, 1) for mask in (self._mask, other._mask)])


def _agrees(scorer: RewardModel) -> bool:
    """Return whether two candidates behind each of two prefixes, read with a cache, get what whole sequences get."""
    device = scorer.model.get_input_embeddings().weight.device
    known = scorer.capabilities.ordinary_ids(TOKENS)
    ids = torch.tensor([known[i % len(known)] for i in range(TOKENS)], device=device)
    # Prefixes of three and of four tokens, each extended by the tokens 4 and 5.
    candidates, ends = ids[None, 4:6], ids.new_tensor([2, 2])
    sequences = [ids[[0, 1, 2, 4]], ids[[0, 1, 2, 5]], ids[[0, 1, 2, 3, 4]], ids[[0, 1, 2, 3, 5]]]

    def compare() -> bool:
        prefixes = PrefixRewards(scorer)
        read = [
            prefixes.read(part[None], torch.ones_like(part, dtype=torch.bool)[None], candidates, end)
            for part, end in ((ids[:3], ends), (ids[3:4], ends + 1))
        ]
        alone = [scorer.score(row[None], torch.ones_like(row, dtype=torch.bool)[None]) for row in sequences]
        return same(torch.cat(alone), torch.cat(read, dim=1)[0])

    with undisturbed(scorer.model):
        return works(compare)
