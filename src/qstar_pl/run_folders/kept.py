"""What a run keeps beside its metrics, for reports: its answers to held-out prompts, and counts of what it drew.

Both files are JSON lines. A last line that a kill has cut short is left out, and written anew when the run goes on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError

ANSWERS = "answers.jsonl"
"""Of the validation before the first step, if there was one, and of the last: an object per held-out prompt, with
`step`, `prompt` (its number), `prompt_text`, `completion`, `tokens`, `reward_gold`, `reward_proxy` (null: unknown)."""
DISTRIBUTIONS = "distributions.jsonl"
"""First {"edges": {quantity: [edge, …]}}, then an object per log window, {"step": its end, quantity: [count, …]}. One
more count than edges means that the first and the last bin are open; one less, that they are not."""


def whole_lines(file: Path) -> list[dict[str, Any]]:
    """Return the objects of a file; [] if there is none.

    Raises:
        UserError: names the line that is none.

    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    lines = list[dict[str, Any]]()
    for number, line in enumerate(text.split("\n")[:-1], start=1):  # what no newline ends is not whole
        try:
            lines.append(json.loads(line))
        except ValueError as error:
            raise UserError(f"{file}:{number} must be a line of JSON, as the run wrote it: {error}") from error
    return lines
