"""The tokens of answers that a model has drawn, as `qstar generate` keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.generation.workspace import Workspace

IDS = "token_id"
COLUMNS: Mapping[str, str] = {
    "logprob_theta": "policy_logprobs",
    "logprob_q": "behavior_logprobs",
    "ess_theta": "ess_policy",
    "kl_theta": "kl_behavior_policy",
    "uncovered_mass": "uncovered_mass",
}
"""Column of the parquet file → field of `Rollout`; what compares with a π_t does not exist where there is none."""


class DrawnTokens:
    """The tokens of every answer, by the row of the data; a few numbers per token in memory."""

    def __init__(self, columns: Mapping[str, NDArray[np.generic]], ended: NDArray[np.bool_]) -> None:
        """Hold the tokens.

        Args:
            columns: [tokens] each: sample_idx, position, token_id and `COLUMNS`, answer after answer.
            ended: [answers].

        """
        self._columns = columns
        self._starts = np.flatnonzero(columns["position"] == 0)  # an answer has one token at least, its end
        self._ends = np.append(self._starts[1:], len(columns["position"]))
        self._ended = ended
        self._answers: dict[int, list[int]] = {}
        for answer, row in enumerate(columns["sample_idx"][self._starts].tolist()):
            self._answers.setdefault(row, []).append(answer)

    @classmethod
    def read(cls, file: Path, argument: str) -> Self:
        """Read what lies beside the rows of a finished `qstar generate`.

        Args:
            file: of rows.
            argument: answers or baseline, for messages.

        Raises:
            UserError: if they were generated without their tokens being kept.

        """
        from pyarrow import parquet  # type: ignore[import-untyped]  # heavy, and only tokens need it

        workspace = Workspace(file)
        if not workspace.tokens.is_file():
            raise UserError(
                f"{argument} must be kept with their tokens for these metrics, got {file} without; --overwrite "
                "generates them anew"
            )
        table = parquet.read_table(workspace.tokens, columns=["sample_idx", "position", IDS, *COLUMNS])
        with workspace.diagnostics.open(encoding="utf-8") as lines:
            ended = np.array([json.loads(line)["ended"] for line in lines], bool)
        return cls({name: table[name].to_numpy() for name in table.column_names}, ended)

    def of_rows(self, rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the answers to some rows of the data, those of a row side by side.

        Returns:
            The place in `rows` that each answer [answers] belongs to, and by field of `Rollout`: `completion_ids`,
            `completion_mask` [answers, time], `ended_mask` [answers], and those of `COLUMNS` [answers, time].

        """
        own = [(place, answer) for place, row in enumerate(rows) for answer in self._answers[row]]
        spans = [(int(self._starts[answer]), int(self._ends[answer])) for _, answer in own]
        shape = len(own), max(end - start for start, end in spans)
        mask = torch.zeros(shape, dtype=torch.bool)
        fields = {"completion_ids": torch.zeros(shape, dtype=torch.int64)}
        fields |= {name: torch.zeros(shape) for name in COLUMNS.values()}
        for number, (start, end) in enumerate(spans):
            mask[number, : end - start] = True
            for column, name in {IDS: "completion_ids", **COLUMNS}.items():
                fields[name][number, : end - start] = torch.tensor(self._columns[column][start:end])
        fields["completion_mask"] = mask
        fields["ended_mask"] = torch.tensor(self._ended[[answer for _, answer in own]])
        return torch.tensor([place for place, _ in own]), fields
