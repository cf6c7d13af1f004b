"""The columns of a rollout while it is being written."""

from __future__ import annotations

import torch
from torch import Tensor

from qstar_pl.rollout.divergence import Divergence
from qstar_pl.rollout.law import POLICY

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

    def write(self, name: str, where: tuple[Tensor | slice | int, ...], values: Tensor) -> None:
        """Set one column at (rows, time)."""
        self.columns[name][where] = values

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
