import pytest
import torch

from qstar_pl.samplers.feeds.costs import SLOPE, Costs, Meter


def test_times_between_and_beyond_what_was_measured_lie_on_a_line() -> None:
    costs = Costs()
    assert costs.seconds("target", 1, 1) is None
    for seconds in (1.0, 9.0, 1.0):  # one measurement was disturbed
        costs.note("target", 1, 1, seconds)
    assert costs.seconds("target", 1, 1) == 1.0
    assert costs.seconds("target", 1, 5) == pytest.approx(1 + 4 * SLOPE)
    costs.note("target", 1, 5, 2.0)
    assert [costs.seconds("target", 1, columns) for columns in (1, 3, 5, 9)] == [1.0, 1.5, 2.0, 3.0]
    costs.note("target", 1, 7, 1.5)  # a longer pass is not a faster one
    assert costs.seconds("target", 1, 8) == 2.0
    assert costs.seconds("policy", 1, 1) is None


def test_the_nearest_number_of_rows_answers() -> None:
    costs = Costs()
    costs.note("target", 2, 1, 1.0)
    costs.note("target", 16, 1, 4.0)
    assert [costs.seconds("target", rows, 1) for rows in (1, 3, 8, 100)] == [1.0, 1.0, 4.0, 4.0]


def test_a_meter_counts_passes_and_lets_the_costs_know() -> None:
    costs = Costs()
    meter = Meter(costs, torch.device("cpu"))
    for _ in range(3):
        with meter.timed("policy", 2, 4):
            pass
    assert meter.calls == {"policy": 3}
    assert costs.count("policy", 2, 4) == 3
    assert costs.seconds("policy", 2, 4) == pytest.approx(meter.seconds["policy"] / 3, abs=1e-4)
