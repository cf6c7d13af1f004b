import pytest

from qstar_pl.data import Nectar, RowRejected, UltraFeedback
from qstar_pl.errors import UserError


def completions(*scored):
    return [{"response": text, "overall_score": score, "fine-grained_score": -score} for text, score in scored]


def test_best_and_worst_or_next():
    row = {"instruction": "Why?", "completions": completions(("b", 5.0), ("d", 1), ("a", 9.5), ("c", 5.0))}
    example = UltraFeedback().example(row, "f:1")
    assert (example.turns[0].content, example.chosen, example.rejected) == ("Why?", "a", "d")
    assert (example.metadata["score_chosen"], example.metadata["score_rejected"]) == (9.5, 1.0)
    assert UltraFeedback(worse="next").example(row, "f:1").rejected == "b"
    assert UltraFeedback(score="fine-grained_score").example(row, "f:1").chosen == "d"


def test_completions_without_a_score_do_not_count_and_arrow_may_turn_them():
    listed = completions(("b", 5.0), ("a", 9.0))
    turned = {name: [one[name] for one in listed] for name in listed[0]}
    assert UltraFeedback().example({"instruction": "Why?", "completions": turned}, "f:1").chosen == "a"
    listed += [{"response": "z", "overall_score": None}, {"response": "", "overall_score": 10}]
    assert UltraFeedback().example({"instruction": "Why?", "completions": listed}, "f:1").chosen == "a"


@pytest.mark.parametrize("scored", [(), (("a", 1),), (("a", 1), ("b", 1))])
def test_rows_without_two_scores(scored):
    with pytest.raises(RowRejected, match="no two answers with different scores"):
        UltraFeedback().example({"instruction": "Why?", "completions": completions(*scored)}, "f:1")


def test_malformed_rows():
    with pytest.raises(UserError, match="f:1: completions must be a list of answers, got NoneType"):
        UltraFeedback().example({"instruction": "Why?", "completions": None}, "f:1")
    with pytest.raises(UserError, match="f:1: an item of completions must be an object, got str"):
        UltraFeedback().example({"instruction": "Why?", "completions": ["x"]}, "f:1")


def test_rank_one_is_the_best():
    answers = [{"answer": "c", "rank": 7.0}, {"answer": "a", "rank": 1.0}, {"answer": "b", "rank": 2}]
    row = {"prompt": "\n\nHuman: Why?\n\nAssistant: ", "answers": answers}
    example = Nectar().example(row, "f:1")
    assert (example.turns[0].content, example.chosen, example.rejected) == ("Why?", "a", "c")
    assert Nectar(worse="next").example(row, "f:1").rejected == "b"
