import numpy as np
import pytest
from scipy.stats import ttest_1samp

from qstar_pl.evaluation.statistics import Interval
from qstar_pl.experiments.report.verdicts.evidence import Evidence, all_of, of_differences, of_ratios

INFINITY = float("inf")


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(0.1, 0.3, "supported"), (-0.3, -0.1, "not supported"), (-0.1, 0.1, "undecided")],
)
def test_the_interval_decides(low: float, high: float, status: str) -> None:
    middle = (low + high) / 2
    assert Evidence("x", middle, Interval(low, high, 0.95, "t"), (0.0, INFINITY)).status == status
    assert Evidence("x", middle, None, (0.0, INFINITY)).status == "undecided"
    assert Evidence("x", None, None, (0.0, INFINITY)).status == "not measured"


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(0.9, 1.1, "supported"), (1.3, 1.5, "not supported"), (0.5, 0.7, "not supported"), (1.1, 1.3, "undecided")],
)
def test_of_two_edges_both_count(low: float, high: float, status: str) -> None:
    assert Evidence("x", 1.0, Interval(low, high, 0.95, "t"), (0.8, 1.2)).status == status


def test_a_claim_of_several_parts_needs_all_of_them() -> None:
    def part(low: float, high: float) -> Evidence:
        return Evidence("x", 0.0, Interval(low, high, 0.95, "t"), (0.0, INFINITY))

    yes, no, unsure, missing = part(1, 2), part(-2, -1), part(-1, 1), Evidence("x", None, None, (0.0, INFINITY))
    assert all_of((yes, yes)) == "supported"
    assert all_of((yes, unsure)) == "undecided"
    assert all_of((yes, missing)) == "not measured"
    assert all_of((missing, unsure, no)) == "not supported"
    assert all_of(()) == "not measured"


def test_differences_and_ratios_are_tested_at_the_edge_of_what_is_claimed() -> None:
    values = [0.3, 0.5, 0.1, 0.4]
    found = of_differences("x", dict(enumerate(values)), (0.1, INFINITY))
    assert found.p_value == pytest.approx(ttest_1samp(values, 0.1).pvalue)
    ratios = of_ratios("x", dict(enumerate(np.exp(values))), (0.0, 1.0))
    assert ratios.value == pytest.approx(np.exp(np.mean(values)))
    assert ratios.p_value == pytest.approx(ttest_1samp(values, 0.0).pvalue)
    assert ratios.interval is not None
    low, high = ttest_1samp(values, 0.0).confidence_interval()
    assert (ratios.interval.low, ratios.interval.high) == pytest.approx((np.exp(low), np.exp(high)))
    assert ratios.status == "not supported"
    assert of_ratios("x", {0: 1.0, 1: 1.1}, (0.8, 1.2)).p_value is None
    assert of_ratios("x", {}, (0.8, 1.2)).status == "not measured"


def test_a_small_p_value_speaks_for_the_claim_alone() -> None:
    values = [0.3, 0.5, 0.1, 0.4]
    both = float(ttest_1samp(values, 0.0).pvalue)
    above = of_differences("x", dict(enumerate(values)), (0.0, INFINITY))
    below = of_differences("x", dict(enumerate(values)), (-INFINITY, 0.0))
    assert both < 0.05
    assert (above.status, above.p_of_claim) == ("supported", pytest.approx(both))
    assert above.p_of_claim == pytest.approx(2 * ttest_1samp(values, 0.0, alternative="greater").pvalue)
    assert (below.status, below.p_of_claim) == ("not supported", 1.0)
    assert of_differences("x", {0: 1.0}, (0.0, INFINITY)).p_of_claim is None
    assert of_differences("x", {0: -1.0}, (0.0, INFINITY)).p_of_claim is None
