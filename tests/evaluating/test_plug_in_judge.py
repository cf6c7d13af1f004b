"""A metric and a judge from outside the package, named by their paths, in `qstar evaluate`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reference.tiny_rows import tiny_examples

PLUG_IN = '''
from dataclasses import dataclass

from qstar_pl.evaluation.judges import Judge, Verdict
from qstar_pl.evaluation.metrics import AnswerMetric, Scores


@dataclass(frozen=True)
class Vowels(AnswerMetric):
    """Share of the answer's characters that are vowels; an empty answer has none."""

    counted: str = "aeiou"

    def scores(self, answers):
        shares = [sum(c in self.counted for c in text) / len(text) if text else None for text in answers.texts]
        return {"vowels": Scores.of(shares)}


@dataclass(frozen=True)
class Terse(Judge):
    """Prefers the answer with fewer words; has no opinion of empty ones."""

    slack: int = 0

    def compare(self, comparisons, progress=None):
        return [self.verdict(one.answer.split(), one.baseline.split()) for one in comparisons]

    def verdict(self, answer, baseline):
        if not answer or not baseline:
            return Verdict(None, "an answer is empty")
        return Verdict.of_scores(-len(answer), -len(baseline), self.slack)
'''
ANSWERS = ["aaab", "a b c", "", "one two", "xyz"]


def test_both_stand_in_the_results(
    qstar: Callable[..., tuple[int, str, str]], isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (isolated / "outsiders_parts.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(isolated)
    sys.modules.pop("outsiders_parts", None)
    with Path("mine.jsonl").open("w") as file:
        for row, text in zip(tiny_examples(5), ANSWERS, strict=True):
            turns: list[Any] = [{"role": turn.role, "content": turn.content} for turn in row.turns]
            file.write(json.dumps({"messages": [*turns, {"role": "assistant", "content": text}]}) + "\n")
    words = ("--answers=mine.jsonl", "--baseline=chosen", "--num_samples=5", "--output=out", "--resamples=100")
    parts = ("--metrics+=outsiders_parts.Vowels", "--judge=outsiders_parts.Terse", "--judge.slack=1")
    code, out, said = qstar("evaluate", *words, *parts)
    assert code == 0, said
    found = json.loads(Path("out/results.json").read_text())
    number = found["metrics"]["vowels"]["answers"]
    assert number["value"] == pytest.approx((3 / 4 + 1 / 5 + 3 / 7 + 0) / 4)
    rate = found["win_rate"]
    assert (rate["wins"], rate["ties"], rate["losses"]) == (4, 0, 0)
    assert rate["without_verdict"] == {"an answer is empty": 1}
    assert "judge Terse(slack=1)" in out
    lines = [json.loads(line) for line in Path("out/scores.jsonl").read_text().splitlines()]
    assert [line["verdicts"][0]["preference"] for line in lines] == [1, 1, None, 1, 1]
