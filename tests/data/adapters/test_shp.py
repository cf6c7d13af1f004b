import pytest

from qstar_pl.data import SHP, RangeFilter, RowRejected
from qstar_pl.errors import UserError

ROW = {"history": "Tea?", "human_ref_A": "None.", "human_ref_B": "Green.", "score_A": 2, "score_B": 9, "labels": 0}


def convert(**changes):
    return SHP().example({**ROW, **changes}, "f:1")


def test_the_higher_score_wins_whatever_the_label_says():
    assert (convert().chosen, convert().rejected) == ("Green.", "None.")
    assert convert(score_A=100).chosen == convert(score_A="100", score_B="9").chosen == "None."
    assert convert(labels=1).chosen == convert(labels=None).chosen == "Green."
    assert convert(score_A=-3, score_B=-5).chosen == "None."


def test_scores_and_their_ratio_are_kept():
    assert convert().metadata["score_ratio"] == 4.5
    assert convert(score_ratio=4.4).metadata["score_ratio"] == 4.4
    assert convert(score_A=0).metadata["score_ratio"] is None
    kept = RangeFilter("score_ratio", minimum=2).reasons([convert(), convert(score_A=8), convert(score_A=0)], None)
    assert kept == [None, "score_ratio is below 2", "score_ratio is missing"]


def test_rows_that_are_left_out():
    with pytest.raises(RowRejected, match="a tie"):
        convert(score_A=9)
    with pytest.raises(RowRejected, match="the prompt is empty"):
        convert(history="")
    with pytest.raises(UserError, match="f:1: score_A must be a number, got NoneType"):
        convert(score_A=None)
    with pytest.raises(UserError, match=r"f:1: SHP needs the columns history, human_ref_A, .* the row has history"):
        SHP().example({"history": "x"}, "f:1")
