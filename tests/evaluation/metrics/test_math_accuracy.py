"""GSM8K's solutions, near misses as stated, and answers that are made to cost time."""

import time
from pathlib import Path

import pytest
from reference.near_misses import HOSTILE, NEAR_MISSES
from reference.texts import numbers, rows_of

from qstar_pl.data.adapters.gsm8k import GSM8K
from qstar_pl.evaluation.metrics import Answers, MathAccuracy
from qstar_pl.evaluation.metrics.needs import Facts
from qstar_pl.types import Example, Turn


def solved(text: str, **metadata: object) -> Answers:
    return Answers(None, [text], examples=[Example(1, (Turn("user", "?"),), metadata=metadata)])


def right(text: str, reference: str) -> bool:
    return numbers(MathAccuracy(), solved(text, final_answer=reference)) == {"math_accuracy": 1.0}


def test_every_solution_of_gsm8k_is_right(real_data: Path):
    examples = GSM8K().read(str(real_data / "gsm8k" / "train_1000.jsonl.gz")).examples
    solutions = Answers(None, [one.chosen for one in examples], examples=examples)
    assert numbers(MathAccuracy(), solutions) == {"math_accuracy": 1.0}
    assert len(solutions) == 1000
    others = Answers(None, [one.chosen for one in examples[1:] + examples[:1]], examples=examples)
    assert numbers(MathAccuracy(), others)["math_accuracy"] == 0.008  # the same small number twice


def test_near_misses():
    assert len(NEAR_MISSES) >= 30
    assert [one for one in NEAR_MISSES if right(one[0], one[1]) is not one[2]] == []


@pytest.mark.parametrize("text", list(HOSTILE.values()), ids=list(HOSTILE))
def test_no_answer_costs_much(text):
    start = time.process_time()
    assert not right(text, "2")
    assert not right("#### 2", text)
    assert time.process_time() - start < 3


def test_the_reference_is_a_field_or_what_a_solution_marks():
    assert rows_of(MathAccuracy(), solved("#### 5", answers=["so 5.\n#### 5"])) == {"math_accuracy": [1.0]}
    assert rows_of(MathAccuracy(), solved("#### 5", final_answer="6", answers=["#### 5"])) == {"math_accuracy": [0.0]}
    chosen = Answers(None, ["#### 5"], examples=[Example(1, (Turn("user", "?"),), chosen=r"It is \boxed{5}.")])
    assert rows_of(MathAccuracy(), chosen) == {"math_accuracy": [1.0]}
    assert rows_of(MathAccuracy(("right",)), solved("#### 5", right=5)) == {"math_accuracy": [1.0]}
    assert rows_of(MathAccuracy(), solved("#### 5")) == {"math_accuracy": [None]}
    assert rows_of(MathAccuracy(unmarked=False), solved("5", final_answer="5")) == {"math_accuracy": [0.0]}


def test_what_is_missing_is_said_at_the_start():
    without = solved("5").examples
    said = MathAccuracy().missing(Facts(without))
    assert said == "needs a final answer (final_answer, or answers), got none in 1 rows of the data"
    assert MathAccuracy().missing(Facts([Example(1, (Turn("user", "?"),), chosen=r"\boxed{5}")])) is None
    assert MathAccuracy().missing(Facts()) is None
