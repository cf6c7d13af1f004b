"""Answers that are texts of a file: their prompts, references, and what they cannot say."""

import pytest
import torch
from reference.text_answers import answers, example

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import Answers


def test_rows_of_a_prompt_are_those_side_by_side() -> None:
    one = answers([("p", ["a", "b", "c"]), ("q", ["d"]), ("r", ["e", "f"])])
    assert (len(one), one.samples, one.has_tokens) == (6, 1, False)
    assert one.of_prompts == [slice(0, 3), slice(3, 4), slice(4, 6)]
    twice = [example("p"), example("p"), example("p")]
    assert Answers(None, ["a", "b", "c"], examples=twice, sizes=[1, 2]).of_prompts == [slice(0, 1), slice(1, 3)]
    assert Answers(None, [], examples=[]).of_prompts == []
    assert Answers(None, [], examples=[]).samples == 0


def test_references_are_all_answers_of_a_question_or_the_preferred_one() -> None:
    rows = [
        example("q", chosen="first", answers=["first", "second"]),
        example("p", chosen="better"),
        example("n", answers=[]),
        example("g", chosen="so 1 + 1 = 2\n#### 2", final_answer="2"),
    ]
    found = Answers(None, ["x"] * 4, examples=rows)
    assert found.references == [("first", "second"), ("better",), (), ("so 1 + 1 = 2\n#### 2",)]
    assert found.final_answers == [("first", "second"), (), (), ("2",)]


def test_what_needs_tokens_says_so() -> None:
    one = answers([("p", ["a"])], gold=torch.ones(1))
    assert one.rewards["gold"].tolist() == [1.0]
    assert Answers(None, ["a"], examples=one.examples).rewards == {}
    with pytest.raises(UserError, match="must have answers drawn here, got texts of a file"):
        _ = one.rollout
    with pytest.raises(UserError, match="must be of answers drawn here, got texts of a file"):
        _ = one.divergences
    with pytest.raises(ValueError, match="texts must be as many as examples, got 2 and 1"):
        Answers(None, ["a", "b"], examples=one.examples)
