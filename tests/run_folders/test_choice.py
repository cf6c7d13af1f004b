from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.run_folders.choice import Choice, columns_of, ordered, time_since
from qstar_pl.run_folders.record import Record
from qstar_pl.run_folders.settings import Settings


def run(name: str, method: str = "DPO", state: str = "finished", active: float = 0.0, **metrics: float) -> Record:
    root = Path("runs")
    return Record(root / name, root, name, Settings(name, method), state, 1, metrics, 0.0, active)  # type: ignore[arg-type]


RUNS = [run("a/version_0", "DPO", "running", 3, gold=0.1), run("b/version_0", "QStar", "killed", 9), run("c", gold=0.7)]


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        (Choice(), "abc"),
        (Choice(methods=("dpo",)), "ac"),
        (Choice(states=("running", "killed")), "ab"),
        (Choice(names=("a", "b/version_*")), "ab"),
        (Choice(since=2), "ab"),
        (Choice(methods=("DPO",), since=2), "a"),
    ],
    ids=["all", "method", "state", "name", "since", "both"],
)
def test_filters(choice: Choice, kept: str) -> None:
    assert "".join(one.name[0] for one in RUNS if choice.takes(one)) == kept


@pytest.mark.parametrize(("key", "order"), [("active", "bac"), ("name", "abc"), ("gold", "cab"), ("method", "acb")])
def test_orders(key: str, order: str) -> None:
    assert "".join(one.name[0] for one in ordered(RUNS, key)) == order


def test_a_run_without_the_metric_comes_last_either_way() -> None:
    assert "".join(one.name[0] for one in ordered(RUNS, "gold", reverse=True)) == "acb"
    with pytest.raises(UserError, match=r"sort must be active, .*, got golf"):
        ordered(RUNS, "golf")


def test_spans_and_dates() -> None:
    assert [time_since(text, 1e6) for text in ("30s", "2min", "1.5 h", "1d")] == [
        1e6 - 30,
        1e6 - 120,
        1e6 - 5400,
        1e6 - 86400,
    ]
    assert time_since("2026-11-26 12:00") - time_since("2026-11-26") == pytest.approx(43200, abs=3601)
    for text in ("soon", "3 months", "2026-13-01"):
        with pytest.raises(UserError, match="since must be a span such as 90min"):
            time_since(text)


def test_columns_are_those_that_there_are() -> None:
    assert columns_of(RUNS, [], ["silver", "gold", "bronze"], 2) == ["gold"]
    assert columns_of(RUNS, ["silver"], ["gold"], 2) == ["silver"]
