"""The tables of an analysis: numbers as a person would round them, in 80 columns."""

import io

import pytest

from qstar_pl.console import SpellingConsole
from qstar_pl.generation.analyze_report import HEADINGS, SHOWN, markdown, number, print_analysis, with_spread

NUMBERS = dict.fromkeys(HEADINGS, -0.123456789)
CHECK = {
    "check": "|D(q‖π_θ) − D(q‖π_t)| < 0.05 nats",
    "value": 0.0123456,
    "value_is": "mean over answers",
    "passed": True,
    "note": "",
    "share_of_rows": 0.5,
}
RUN = {
    "file": "a.diagnostics.jsonl",
    "rows": 1000,
    "prompts_cut": 0,
    "ess_ratio": 1.01,
    "statistics": {column: NUMBERS for column, _ in SHOWN},
    "checks": [CHECK],
}


def test_numbers_are_rounded() -> None:
    assert [number(value) for value in (None, 5.6e-17, 1.23456, 12345.6)] == ["–", "0", "1.235", "1.235e+04"]
    assert with_spread(0.3, 5.6e-17) == "0.30 ± 0.00"
    assert with_spread(13.217, 4.1) == "13 ± 4"
    assert with_spread(-0.0123, 0.0046) == "-0.012 ± 0.005"
    assert with_spread(0.0, 0.0) == "0 ± 0"


@pytest.mark.parametrize(("width", "encoding"), [(80, "utf-8"), (80, "ascii"), (160, "utf-8")])
def test_tables_fit_the_terminal(width: int, encoding: str) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_analysis({"runs": {"one": RUN, "another": RUN}}, SpellingConsole(file=file, width=width))
    file.seek(0)
    printed = file.read()
    assert max(map(len, printed.splitlines())) <= width
    assert printed.count("-0.1235") >= 2 * len(SHOWN) * 5, "no number is cut"
    assert ("q25" in printed) is (width > 80)
    assert "q25" in markdown({"runs": {"one": RUN}}, [])
