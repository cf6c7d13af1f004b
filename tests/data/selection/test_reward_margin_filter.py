import pytest

from qstar_pl.data import RewardMarginFilter, single_turn
from qstar_pl.errors import UserError


def reasons(rows, **options):
    examples = [single_turn("q", "a", "b", {"row": row, "source": "f:7"}) for row in rows]
    return RewardMarginFilter(**options).reasons(examples, None)


def scores(chosen, rejected):
    return {"score_chosen": chosen, "score_rejected": rejected}


def test_margins_are_inclusive():
    rows = [scores(2, 1), scores(1.0, 1.0), scores(0.5, 1), scores(9, 1)]
    assert reasons(rows) == [None, None, "the reward margin is below 0", None]
    assert reasons(rows, min_margin=1, max_margin=2) == [
        None,
        "the reward margin is below 1",
        "the reward margin is below 1",
        "the reward margin is above 2",
    ]


def test_columns_by_name_and_path():
    row = {"info": {"good": 3, "bad": 1.5}}
    assert reasons([row], chosen_column="info.good", rejected_column="info.bad", min_margin=1.5) == [None]
    assert reasons([row], chosen_column="info.good", rejected_column="info.bad", min_margin=1.6) == [
        "the reward margin is below 1.6"
    ]


def test_missing_scores_are_left_out():
    assert reasons([scores(None, 1), scores(1, float("nan"))]) == ["a score is missing"] * 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"chosen": 1}, "f:7: RewardMarginFilter needs the column score_chosen; there is chosen"),
        (scores("high", 1), "f:7: score_chosen must be a number, got str"),
        (scores(1, True), "f:7: score_rejected must be a number, got bool"),
    ],
)
def test_malformed_rows(row, message):
    with pytest.raises(UserError, match=message):
        reasons([row])


def test_bad_options():
    with pytest.raises(UserError, match="max_margin must be at least min_margin, got 1 and 2"):
        RewardMarginFilter(min_margin=2, max_margin=1)
