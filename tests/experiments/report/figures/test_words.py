"""Cells in panels, and their looks."""

import pytest

from qstar_pl.experiments.report.figures.words import handfuls, listed, look, measure


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (9, [9]), (10, [5, 5]), (21, [7, 7, 7]), (20, [7, 7, 6])])
def test_panels_hold_about_equally_many(count: int, sizes: list[int]) -> None:
    names = [str(number) for number in range(count)]
    found = handfuls(names)
    assert [len(one) for one in found] == sizes
    assert [name for one in found for name in one] == names


def test_no_two_of_twenty_eight_look_the_same_and_no_neighbors_share_a_marker() -> None:
    looks = [look(number) for number in range(28)]
    assert len({(one.color, str(one.dashes), one.marker) for one in looks}) == 28
    assert len({(one.color, one.marker) for one in looks}) == 28  # dashes alone are hard to tell apart


def test_axes_have_units_and_lists_are_words() -> None:
    assert measure("val/kl_policy_reference") == "D(π_θ‖π_init), nats per answer"
    assert measure("time/step_s") == "time/step_s, s"
    assert [listed(names) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
