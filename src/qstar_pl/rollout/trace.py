"""The columns of a rollout while it is being written."""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

from qstar_pl.rollout.divergence import Divergence
from qstar_pl.rollout.law import POLICY
from qstar_pl.rollout.token import Drawn

COLUMNS = (
    "behavior_logprobs",
    "policy_logprobs",
    "target_logprobs",
    "alpha",
    "log_z",
    "ess_policy",
    "ess_target",
    "kl_behavior_policy",
    "kl_behavior_target",
    "uncovered_mass",
)


class Trace:
    """One [rows, time] tensor per float field of `Rollout`, zero where nothing was written."""

    def __init__(self, rows: int, time: int, like: Tensor) -> None:
        """Make the columns.

        Args:
            rows: number of answers.
            time: longest answer.
            like: a tensor with the dtype and device of the columns.

        """
        # At full length from the start; `cut` drops what no answer has reached.
        self.columns: dict[str, Tensor] = {name: like.new_zeros(rows, time) for name in COLUMNS}
        self.ids = torch.zeros(rows, time, dtype=torch.int64, device=like.device)
        self.mask = torch.zeros(rows, time, dtype=torch.bool, device=like.device)
        # Consecutive tokens of the same rows, which `flush` writes as one block.
        self._rows = torch.empty(0, dtype=torch.int64, device=like.device)
        self._first = 0
        self._pending: list[tuple[Tensor, Drawn]] = []

    def add(self, rows: Tensor, time: int, mask: Tensor, drawn: Drawn) -> None:
        """Set all columns of some rows at one time; they can be read after `flush`.

        Args:
            rows: [n] int64; the same tensor as long as they are the same rows.
            time: the one after that of the last call, for the same rows.
            mask: [n] bool: where False, nothing is written.
            drawn: what is known of the tokens.

        """
        if rows is not self._rows:
            self.flush()
            self._rows, self._first = rows, time
        self._pending.append((mask, drawn))

    def flush(self) -> None:
        """Write what was added."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        rows = slice(None) if len(self._rows) == len(self.ids) else self._rows
        where = (rows, slice(self._first, self._first + len(pending)))
        mask = torch.stack([mask for mask, _ in pending], dim=1)
        self.mask[where] = mask
        self.ids[where] = torch.stack([drawn.ids for _, drawn in pending], dim=1) * mask
        for name in pending[0][1].columns:
            values = torch.stack([drawn.columns[name] for _, drawn in pending], dim=1)
            self.columns[name][where] = torch.where(mask, values, 0.0)
        self._first += len(pending)

    def write(self, name: str, where: tuple[Tensor | slice | int, ...], values: Tensor) -> None:
        """Set one column at (rows, time)."""
        self.columns[name][where] = values

    def write_drawn(self, where: tuple[Tensor, Tensor], drawn: Drawn) -> None:
        """Set all columns at n places (rows, times), from the first n of the drawn tokens."""
        count = len(where[0])
        self.ids[where], self.mask[where] = drawn.ids[:count], torch.ones_like(where[0], dtype=torch.bool)
        for name, values in drawn.columns.items():
            self.write(name, where, values[:count])

    def write_divergence(self, role: str, where: tuple[Tensor | slice | int, ...], values: Divergence) -> None:
        """Set the columns that compare q with one model."""
        self.write(f"kl_behavior_{role}", where, values.kl)
        self.write(f"ess_{role}", where, values.ess)
        if role == POLICY:
            self.write("uncovered_mass", where, values.uncovered)

    def copy_policy(self) -> None:
        """Make the target's columns those of the policy, for a target that is the policy."""
        for name in ("target_logprobs", "ess_target", "kl_behavior_target"):
            self.columns[name] = self.columns[name.replace("target", "policy")].clone()

    def select(self, rows: Tensor) -> None:
        """Keep `rows` [n] int64 alone, in that order; a row may be named several times."""
        self.columns = {name: column[rows] for name, column in self.columns.items()}
        self.ids, self.mask = self.ids[rows], self.mask[rows]

    def part(self, rows: slice) -> Trace:
        """Return the trace of some rows, which shares its memory with this one."""
        part = copy(self)
        part.columns = {name: column[rows] for name, column in self.columns.items()}
        part.ids, part.mask = self.ids[rows], self.mask[rows]
        return part

    def replace(self, rows: slice, other: Trace) -> None:
        """Put the rows of a trace of equal length in the place of `rows`."""
        for name, column in self.columns.items():
            column[rows] = other.columns[name]
        self.ids[rows], self.mask[rows] = other.ids, other.mask

    def clear_unmasked(self) -> None:
        """Set what stands where the mask is False to zero: rows that began anew may be shorter than they were."""
        self.columns = {name: torch.where(self.mask, column, 0.0) for name, column in self.columns.items()}
        self.ids = torch.where(self.mask, self.ids, 0)

    def cut(self, time: int) -> None:
        """Drop everything from `time` on."""
        self.columns = {name: column[:, :time] for name, column in self.columns.items()}
        self.ids, self.mask = self.ids[:, :time], self.mask[:, :time]
