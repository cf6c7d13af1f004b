"""The scores of each part of a mixture, beside those of all rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.scores import Per, Scores

ByPart = Mapping[str | None, Mapping[str, Scores]]
"""Part → scores by name; None: of all rows."""


def by_part(scores: Mapping[str, Scores], evidence: Any) -> ByPart:
    """Return scores of all rows, and those in which only the rows of one part count, for each part that there is.

    Args:
        scores: of what was measured, by name.
        evidence: what it was measured on.

    """
    parts = _parts(evidence)
    found: dict[str | None, Mapping[str, Scores]] = {None: scores}
    for part in dict.fromkeys(parts["prompt"]):
        if part is not None:
            found[part] = {name: _only(one, parts[one.per], part) for name, one in scores.items()}
    return found


def _parts(evidence: Any) -> Mapping[Per, list[str | None]]:
    """Return the part of each answer, and of each prompt; of what the data has, a row is a prompt."""
    if isinstance(evidence, Answers):
        of_rows = [example.part for example in evidence.examples]
        return {"answer": of_rows, "prompt": [of_rows[rows.start] for rows in evidence.of_prompts]}
    of_rows = [example.part for example in evidence.batch.prompts.examples]
    return {"answer": of_rows, "prompt": of_rows}


def _only(scores: Scores, parts: Sequence[str | None], part: str) -> Scores:
    inside = torch.tensor([one == part for one in parts], dtype=torch.bool, device=scores.mask.device)
    return Scores(scores.values, scores.mask & inside, scores.per)
