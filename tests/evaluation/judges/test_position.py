import pytest

from qstar_pl.evaluation.judges.position import PositionBias


def orders(answer_first: float | None, baseline_first: float | None) -> dict:
    return {"orders": {"answer_first": answer_first, "baseline_first": baseline_first}}


def test_always_the_first() -> None:
    bias = PositionBias.of([orders(1.0, 0.0)] * 3)
    assert bias == PositionBias(1.0, 0.0, 3)
    assert str(bias) == "the answer shown first is preferred by 100.0%, both orders agree on 0.0% of 3"


def test_orders_that_agree_have_none() -> None:
    assert PositionBias.of([orders(1.0, 1.0), orders(0.0, 0.0), orders(0.5, 0.5)]) == PositionBias(0.5, 1.0, 3)
    # Probabilities agree if they are on the same side.
    bias = PositionBias.of([orders(0.9, 0.6), orders(0.6, 0.4)])
    assert bias is not None
    assert (bias.first_share, bias.agreement) == (pytest.approx((0.9 + 0.4 + 0.6 + 0.6) / 4), 0.5)


def test_one_order_says_less() -> None:
    bias = PositionBias.of([orders(1.0, None), {"orders": {"baseline_first": 1.0}}, {}, {"scores": {}}])
    assert bias == PositionBias(0.5, None, 0)
    assert bias.as_json() == {"first_share": 0.5}
    assert str(bias) == "the answer shown first is preferred by 50.0%"
    assert PositionBias.of([{}, orders(None, None)]) is None
