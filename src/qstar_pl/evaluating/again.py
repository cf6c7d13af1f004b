"""Statistics of scores that are there already."""

from __future__ import annotations

import shutil
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.evaluating.defaults import CANDIDATES
from qstar_pl.evaluating.folder import EvaluationFolder
from qstar_pl.evaluating.records import labels_of
from qstar_pl.evaluating.report.report import Report, report_of
from qstar_pl.evaluating.report.tables import markdown
from qstar_pl.evaluating.settings import EvaluationSettings
from qstar_pl.files import write_text
from qstar_pl.generation.workspace import json_bytes, replace_file


def report_again(settings: EvaluationSettings, scores: Path, output: Path) -> Report:
    """Form the statistics of an evaluation anew from its scores.jsonl, without answers, models or judges.

    Args:
        settings: those of the evaluation, perhaps with another confidence, number of resamples or seed.
        scores: its folder.
        output: the folder of the new results.json and results.md; it may be the same.

    Raises:
        UserError: if the evaluation has not ended.

    """
    source, target = EvaluationFolder(scores), EvaluationFolder(output)
    if not source.complete:
        raise UserError(f"from_scores must be the folder of an evaluation that has ended, got {scores}")
    before = source.ended()
    lines = source.lines(before["data"]["evaluated"])
    of_scores = before["stages"]["scores"]["metrics"]
    known = labels_of(CANDIDATES if settings.metrics is None else settings.metrics)
    if missing := [label for label in of_scores if label not in known]:
        raise UserError(f"metrics must name those of the scores, got {', '.join(known) or 'none'} without {missing[0]}")
    metrics = {label: known[label] for label in of_scores}
    judge = before["stages"]["verdicts"].get("judge", "")
    about = {
        name: value for name, value in before.items() if name not in ("format", "metrics", "win_rate", "statistics")
    }
    report = report_of(lines, metrics, judge, settings.how(), about)
    if source.path.resolve() != target.path.resolve():
        target.path.mkdir(parents=True, exist_ok=True)
        for file in (source.scores, source.config):
            shutil.copyfile(file, target.path / file.name)
    write_text(target.table, markdown(report))
    replace_file(target.results, json_bytes(report.as_json()))
    return report
