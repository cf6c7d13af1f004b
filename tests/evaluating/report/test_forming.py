"""Numbers that are no function of sums: as they were scored, with intervals where resampling can tell them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from reference.text_answers import answers, measured

from qstar_pl.evaluating.records import rows_of
from qstar_pl.evaluating.report.forming import Statistics, numbers_of
from qstar_pl.evaluation.metrics import Answers, CorpusDistinct, Metric, ProxyCalibration, row_scores

HOW = Statistics(resamples=100)
WORDS = ["a", "b", "c", "d", "e", "f", "g", "h"]


def some(prompts: int = 20, samples: int = 3) -> Answers:
    torch.manual_seed(0)
    texts = [[" ".join(WORDS[: 1 + (n * k) % 7]) for k in range(samples)] for n in range(prompts)]
    rewards = torch.randn(prompts * samples)
    return answers(
        [(f"p{number}", of_prompt) for number, of_prompt in enumerate(texts)],
        proxy=rewards,
        gold=rewards + torch.randn(len(rewards)),
    )


def records(metric: Metric, scored: Answers) -> list[dict[str, Any]]:
    """Return the lines of scores.jsonl, as they are read again."""
    lines: list[dict[str, Any]] = [
        {"key": number, "answers": {"it": {}}, "baseline": {"it": {}}} for number in range(len(scored.of_prompts))
    ]
    for name, one in row_scores(metric, scored).items():
        for line, row in zip(lines, rows_of(one, scored.of_prompts), strict=True):
            for side in ("answers", "baseline"):
                line[side]["it"][name] = {"per": one.per, "scores": row}
    read: list[dict[str, Any]] = json.loads(json.dumps(lines, allow_nan=False))
    return read


def test_keys_are_texts_that_keep_all_digits_and_rows_are_answers() -> None:
    lines = records(CorpusDistinct(), some())
    same = 2**62
    for number, line in enumerate(lines):
        line["key"] = same + number
    as_texts = [{**line, "key": str(line["key"])} for line in lines]
    metrics: dict[str, Metric] = {"it": CorpusDistinct()}
    found = numbers_of(as_texts, metrics, HOW)
    assert found == numbers_of(lines, metrics, HOW)
    assert [(one.answers.rows, one.answers.groups) for one in found] == [(len(some()), len(lines))] * len(found)


@pytest.mark.parametrize("metric", [CorpusDistinct(), ProxyCalibration(samples=3)], ids=["distinct", "calibration"])
def test_stored_rows_give_the_number_that_was_measured(metric: Metric) -> None:
    found = {one.key: one.answers.value for one in numbers_of(records(metric, some()), {"it": metric}, HOW)}
    assert found == pytest.approx(measured(metric, some()))
    assert len(found) in (2, 4)


def test_what_counts_different_things_has_no_interval() -> None:
    for one in numbers_of(records(CorpusDistinct(), some()), {"it": CorpusDistinct()}, HOW):
        assert one.answers.interval is None
        assert "drawn twice adds nothing different" in one.answers.reason
        assert one.compared is not None
        assert (one.compared.difference.value, one.compared.difference.interval) == (0.0, None)


def test_a_resample_is_formed_once_for_all_numbers_of_a_metric() -> None:
    formed = []

    class Counted(ProxyCalibration):
        def compute_rows(self, rows: Mapping[str, Any]) -> Any:
            formed.append(1)
            return super().compute_rows(rows)

    metric = Counted(samples=3)
    found = numbers_of(records(metric, some()), {"it": metric}, HOW)
    assert len(found) == 4
    for one in found:
        assert one.answers.interval is not None
        assert one.answers.interval.low < one.answers.value < one.answers.interval.high
    # All rows once, the whole and the 100 resamples of each side, which are also those of the difference.
    assert len(formed) == 2 * (1 + 1 + 100)
