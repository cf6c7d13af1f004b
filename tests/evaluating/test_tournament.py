import math
from collections import Counter

import numpy as np
import pytest
from reference.tiny_rows import tiny_examples

from qstar_pl.data import TinyWorld
from qstar_pl.data.records import json_line
from qstar_pl.evaluating.prompts import Prompts, Row
from qstar_pl.evaluating.sources import Answered
from qstar_pl.evaluating.tournament import Match, judged, rated, round_robin, rows_of, win_rates
from qstar_pl.evaluation.judges import LengthJudge, Verdict
from qstar_pl.evaluation.win_rates import read_alpaca_annotations

EXAMPLES = tiny_examples(12)
PROMPTS = Prompts("tiny", TinyWorld(), [Row(index, one) for index, one in enumerate(EXAMPLES)], [], Counter(), "0")


def method(*answers: tuple[str, ...] | None) -> Answered:
    return Answered({row: texts for row, texts in enumerate(answers) if texts is not None}, {})


def test_any_two_methods_meet_on_the_prompts_that_both_have_answered() -> None:
    methods = {"a": method(("a0",), ("a1",)), "b": method(("b0", "b0'"), None, ("b2",)), "c": method(None, ("c1",))}
    matches = round_robin(PROMPTS, methods)
    assert [[(one.row, one.first, one.second, *one.answers) for one in own] for own in matches] == [
        # Of fewer answers each is met by several.
        [(0, "a", "b", "a0", "b0"), (0, "a", "b", "a0", "b0'")],
        [(1, "a", "c", "a1", "c1")],
    ]


def sized(*lengths: int) -> Answered:
    return method(*[("x" * length,) for length in lengths])


METHODS = {
    "long": sized(9, 9, 9, 9, 9, 9, 9, 9, 9, 1, 5, 5),
    "middle": sized(5, 5, 5, 5, 5, 5, 5, 5, 10, 5, 5, 6),
    "short": sized(3, 3, 3, 3, 3, 3, 6, 6, 3, 3, 3, 3),
}


def test_the_table_is_of_preferences_and_the_order_of_ratings() -> None:
    matches = [one for own in round_robin(PROMPTS, METHODS) for one in own]
    verdicts = judged(LengthJudge(), matches)
    table = win_rates(list(METHODS), matches, verdicts)
    assert table[0, 1] == pytest.approx((8 + 0.5) / 12)
    assert np.isnan(np.diag(table)).all()
    off = ~np.eye(3, dtype=bool)
    assert (table + table.T)[off] == pytest.approx(1.0)
    ratings = rated(matches, verdicts)
    assert [one.name for one in ratings.methods] == ["long", "middle", "short"]
    assert all(one.interval.low < one.elo < one.interval.high for one in ratings.methods)
    assert {one.comparisons for one in ratings.methods} == {24}


def test_what_has_no_verdict_counts_nowhere_and_is_written(tmp_path) -> None:
    matches = [Match(0, 0, EXAMPLES[0], "a", "b", ("one", "two")), Match(1, 0, EXAMPLES[1], "a", "b", ("three", "4"))]
    verdicts = [Verdict(None, "no answer came"), Verdict(0.75, extra={"tokens": 3})]
    assert win_rates(["a", "b"], matches, verdicts)[0, 1] == 0.75
    assert math.isnan(win_rates(["a", "b"], matches, verdicts[:1] * 2)[0, 1])
    file = tmp_path / "comparisons.jsonl"
    file.write_bytes(b"".join(json_line(row) for row in rows_of(matches, verdicts)))
    read = read_alpaca_annotations(file)
    assert [one.preference for one in read] == [None, 0.75]
    assert {(one.model, one.baseline) for one in read} == {("a", "b")}
    assert [(one.length, one.baseline_length) for one in read] == [(3, 3), (5, 1)]
