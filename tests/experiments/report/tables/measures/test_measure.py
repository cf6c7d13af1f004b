import pytest

from qstar_pl.experiments.report.tables.measures.measure import number, summary


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (0.1234, 3, "0.123"),
        (0.00234, 3, "2.3e-3"),
        (0.0, 3, "0.000"),
        (12345.6, 0, "12,346"),
        (-0.5, 2, "-0.50"),
        (123.4, 3, "123.4"),
        (48.83, 3, "48.83"),
    ],
    ids=str,
)
def test_numbers(value: float, digits: int, said: str) -> None:
    assert number(value, digits) == said


def test_mean_and_spread_over_seeds() -> None:
    found = summary({0: 0.4, 1: 0.5, 2: 0.6, 3: float("nan")})
    assert found is not None
    assert (found.text(), found.seeds) == ("0.500 ± 0.100", 3)
    small = summary({0: 0.00021, 1: 0.00023})
    assert small is not None
    assert small.text() == "(2.2 ± 0.1)e-4"
    large = summary({0: 700.0, 1: 712.0})
    assert large is not None
    assert large.text() == "706.0 ± 8.5"
    alone, alike = summary({0: 0.4}), summary({0: 5.0, 1: 5.0})
    assert alone is not None
    assert alike is not None
    assert (alone.text(), alike.text(0)) == ("0.400", "5")
    assert summary({0: float("nan")}) is None
