"""An evaluation that takes a second, its metrics, and the bytes of what it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qstar_pl.evaluating.launch import Launch
from qstar_pl.evaluating.run import Evaluation, evaluate
from qstar_pl.evaluating.settings import EvaluationSettings
from qstar_pl.evaluation.judges import GoldJudge
from qstar_pl.evaluation.metrics import AnswerMetric, Answers, Scores


@dataclass(frozen=True)
class Characters(AnswerMetric):
    """A mean over answers."""

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        return {"characters": Scores.of([float(len(text)) for text in answers.texts])}


@dataclass(frozen=True)
class LettersPerWord(AnswerMetric):
    """A ratio of totals, which is no mean of rows."""

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        counts = [[float(sum(map(str.isalpha, text))), float(len(text.split()))] for text in answers.texts]
        return {"letters_and_words": Scores.all(torch.tensor(counts))}

    def compute(self, sums: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor | float]:
        return {"letters_per_word": sums["letters_and_words"][0] / sums["letters_and_words"][1]}


@dataclass(frozen=True)
class MedianCharacters(AnswerMetric):
    """No function of sums."""

    all_rows = True

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        return {"lengths": Scores.of([float(len(text)) for text in answers.texts])}

    def compute_rows(self, rows: Mapping[str, Scores]) -> Mapping[str, torch.Tensor | float]:
        return {"median_characters": rows["lengths"].counted.median()}


SMALL: dict[str, Any] = {
    "answers": "tiny/policy",
    "baseline": "tiny/expert",
    "dataset": "tiny",
    "end_idx": 40,
    "batch_size": 16,
    "max_new_tokens": 4,
    "metrics": [Characters(), LettersPerWord(), MedianCharacters()],
    "judge": GoldJudge(),
    "resamples": 100,
}
FILES = ("results.json", "results.md", "scores.jsonl", "answers.jsonl", "baseline.jsonl")


def run_small(output: str | Path = "out", launch: dict[str, Any] | None = None, **changes: Any) -> Evaluation:
    """Evaluate; what is given as None is left out."""
    chosen = {name: value for name, value in {**SMALL, **changes}.items() if value is not None}
    return evaluate(EvaluationSettings(**chosen), Path(output), Launch(progress=False, **(launch or {})))


def contents(output: Path) -> dict[str, bytes]:
    """The bytes of all files that do not hold times; nothing of an unfinished evaluation may be there."""
    assert not (output / "work").exists()
    return {name: (output / name).read_bytes() for name in FILES if (output / name).exists()}
