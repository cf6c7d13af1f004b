"""The lines of scores.jsonl as they are read back, each checked: the file may have been cut or edited since."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError
from qstar_pl.evaluating.records import key_of
from qstar_pl.spelling import counted


def read_scores(file: Path, prompts: int) -> list[dict[str, Any]]:
    """Return the lines of a finished evaluation.

    Args:
        file: its scores.jsonl.
        prompts: how many it has evaluated; statistics of fewer would pass for those of all.

    Raises:
        UserError: if the file cannot be read, a line is missing or too many, or is none that an evaluation writes.

    """
    try:
        with file.open(encoding="utf-8") as opened:
            lines = [json.loads(line) for line in opened]
    except (OSError, ValueError) as error:
        raise UserError(f"{file} must be the scores of an evaluation, got {error}") from error
    if len(lines) != prompts:
        missing = f": {counted(prompts - len(lines), 'line')} missing" if len(lines) < prompts else ""
        raise UserError(f"{file} must hold a line for each of {counted(prompts, 'prompt')}, got {len(lines)}{missing}")
    for number, line in enumerate(lines, 1):
        if wrong := _wrong(line):
            raise UserError(f"{file} must be the scores of an evaluation, got line {number} {wrong}")
    return lines


def _wrong(line: Any) -> str | None:
    """Return what makes a line none of an evaluation's; None: nothing that statistics would stumble over."""
    if not isinstance(line, Mapping):
        return "that is no JSON object"
    if not _has_key(line):
        return "without the key of a prompt"
    for side in ("answers", "baseline"):
        if not _is_side(line.get(side, {})):
            return f"with other things than scores in {side}"
    verdicts = line.get("verdicts", [])
    if not isinstance(verdicts, Sequence) or not all(map(_is_verdict, verdicts)):
        return "with other things than verdicts in verdicts"
    return None


def _has_key(line: Mapping[str, Any]) -> bool:
    try:
        return -(2**63) <= key_of(line) < 2**63
    except (KeyError, TypeError, ValueError, OverflowError):
        return False


def _is_side(side: Any) -> bool:
    """Return whether it is label → name → {"per", "scores"}."""
    if not isinstance(side, Mapping) or not all(isinstance(names, Mapping) for names in side.values()):
        return False
    return all(_is_entry(entry) for names in side.values() for entry in names.values())


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, Mapping) or entry.get("per") not in ("answer", "prompt"):
        return False
    rows = entry.get("scores")
    return isinstance(rows, list) and all(row is None or _is_number(row) or _is_numbers(row) for row in rows)


def _is_verdict(verdict: Any) -> bool:
    if not isinstance(verdict, Mapping) or "preference" not in verdict:
        return False
    preference, lengths, reason = (verdict.get(name) for name in ("preference", "lengths", "reason"))
    return (
        (preference is None or _is_number(preference))
        and (lengths is None or (_is_numbers(lengths) and len(lengths) == 2))
        and (reason is None or isinstance(reason, str))
        and isinstance(verdict.get("extra", {}), Mapping)
    )


def _is_numbers(given: Any) -> bool:
    return isinstance(given, list) and all(map(_is_number, given))


def _is_number(given: Any) -> bool:
    # A whole number may have more digits than a float has room for.
    return isinstance(given, float) or (isinstance(given, int) and abs(given) < 2**1023)
