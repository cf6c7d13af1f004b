"""Distinct-n counted by hand: per answer, per prompt, and over all answers, however they were batched."""

import pytest
from reference.text_answers import answers, measured

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import AnswerDistinct, CorpusDistinct, PromptDistinct, row_scores
from qstar_pl.evaluation.metrics.distinct import distinct, ngrams

TWO = [("p", ["a b a b", "a b c"]), ("q", ["d", "d"])]


def test_words_and_their_ngrams() -> None:
    assert list(ngrams(" a b\n c ", 2)) == [("a", "b"), ("b", "c")]
    assert list(ngrams("a", 2)) == []
    assert distinct(["a b a b"], 1) == 0.5
    assert distinct(["a", "b"], 2) is None


def test_of_an_answer_it_is_a_mean_over_those_that_have_ngrams() -> None:
    found = measured(AnswerDistinct(), answers(TWO))
    assert found == {
        "distinct_1_answer": pytest.approx((0.5 + 1 + 1 + 1) / 4),
        "distinct_2_answer": pytest.approx((2 / 3 + 1) / 2),
    }


def test_of_a_prompt_it_is_over_all_its_answers() -> None:
    assert measured(PromptDistinct(n=(1, 2, 3)), answers(TWO)) == {
        "distinct_1_prompt": pytest.approx((3 / 7 + 1 / 2) / 2),
        "distinct_2_prompt": pytest.approx(3 / 5),
        "distinct_3_prompt": pytest.approx(1.0),
    }


def test_one_answer_says_nothing_of_how_different_several_are() -> None:
    scores = row_scores(PromptDistinct(n=(1,)), answers([("p", ["a a", "a"]), ("q", ["b b"])]))["distinct_1_prompt"]
    assert (scores.per, scores.mask.tolist(), scores.counted.tolist()) == ("prompt", [True, False], [1 / 3])


def test_of_all_answers_it_does_not_depend_on_the_batches() -> None:
    wanted = {"distinct_1_corpus": 4 / 9, "distinct_2_corpus": 3 / 5}
    assert measured(CorpusDistinct(), answers(TWO)) == pytest.approx(wanted)
    assert measured(CorpusDistinct(), answers(TWO[:1]), answers(TWO[1:])) == pytest.approx(wanted)
    assert measured(CorpusDistinct(n=(5,)), answers(TWO)) == {}


def test_a_list_of_lengths_is_the_same_metric() -> None:
    assert CorpusDistinct(n=[1, 2]) == CorpusDistinct()  # type: ignore[arg-type]


def test_what_is_no_length_of_ngrams_is_refused() -> None:
    with pytest.raises(UserError, match="n must be at least 1, got 0"):
        AnswerDistinct(n=(1, 0))
    with pytest.raises(UserError, match="n must name at least one length"):
        CorpusDistinct(n=())
    with pytest.raises(UserError, match="samples must be at least 2, got 1"):
        PromptDistinct(samples=1)
