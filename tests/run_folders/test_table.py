from dataclasses import replace
from pathlib import Path

import pytest

from qstar_pl.run_folders.record import Record
from qstar_pl.run_folders.settings import Settings
from qstar_pl.run_folders.table import filled, runs_table, span, steps

RUN = Record(
    Path("runs/a"), Path("runs"), "a", Settings("a", "DPO", "tiny", 0, 20), "running", 10, {"gold": 0.51234}, 0, 40
)
LONG = replace(RUN, name="a_study_of_many_words/seed_0/and_more/version_0", metrics={})


def test_one_line_each_where_they_fit() -> None:
    assert runs_table([RUN], ["gold"], 80, now=99).splitlines() == [
        "run  state    step   active    method  data   gold",
        "a    running  10/20  59 s ago  DPO     tiny  0.512",
    ]


def test_metrics_and_long_names_go_to_lines_of_their_own() -> None:
    lines = runs_table([RUN, LONG], ["gold"], 80, now=99).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("a  ")
    assert lines[2] == "    gold 0.512"
    assert lines[3] == LONG.name
    assert lines[4].split() == ["running", "10/20", "59", "s", "ago", "DPO", "tiny"]


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0 s"), (59, "59 s"), (60, "1 min"), (7300, "2 h"), (1e6, "12 d")])
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_steps() -> None:
    unknown = replace(RUN, step=None, settings=Settings())
    assert [steps(one) for one in (RUN, unknown, replace(RUN, settings=Settings()))] == ["10/20", "–", "10"]
    assert steps(replace(RUN, step=22)) == "22/22", "a batch of several steps goes beyond max_steps"


def test_parts_are_not_broken() -> None:
    assert filled(["abc", "def", "ghi"], 10, indent=1) == [" abc  def", " ghi"]
