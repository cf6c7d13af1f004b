"""Files of preferences: what is read, and what is refused."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.win_rates.annotations import by_pair, read_alpaca_annotations

ROW = {
    "instruction": "Say hi.",
    "output_1": "hello",
    "generator_1": "old",
    "output_2": "hi",
    "generator_2": "new",
    "preference": 2,
}


def written(folder: Path, *rows: Mapping[str, Any], name: str = "annotations.json") -> Path:
    path = folder / name
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps(list(rows)))
    return path


@pytest.mark.parametrize(
    ("preference", "expected"),
    [
        (2, 1.0),
        (1.0, 0.0),
        (1.25, 0.25),
        ("1.75", 0.75),
        (0, 0.5),
        (0.0, 0.5),
        (1.5, 0.5),
        (None, None),
        (float("nan"), None),
    ],
    ids=str,
)
def test_preferences(preference: Any, expected: float | None, tmp_path: Path) -> None:
    path = written(tmp_path, {**ROW, "preference": preference}, name="a.jsonl")
    (one,) = read_alpaca_annotations(path)
    assert one.preference == expected
    assert (one.model, one.baseline, one.length, one.baseline_length) == ("new", "old", 2, 5)


def test_real_annotations(real_data: Path) -> None:
    path = real_data / "alpaca_eval" / "alpaca-7b.alpaca_eval_gpt4.annotations.json.gz"
    rows = read_alpaca_annotations(path)
    with gzip.open(path, "rt") as file:
        assert [one.prompt for one in rows] == [row["instruction"] for row in json.load(file)]
    assert list(by_pair(rows)) == [("alpaca-7b", "text_davinci_003")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preference": 3}, r"item 2: preference must be 0 \(a draw\) or lie in \[1, 2\], got 3"),
        ({"preference": "model"}, "item 2: preference must be a number or none, got 'model'"),
        ({"output_2": None}, "item 2: output_2 must be a text, got nothing"),
        ({"generator_1": 5}, "item 2: generator_1 must be a text, got 5"),
    ],
    ids=["range", "word", "output", "generator"],
)
def test_mistakes(change: Mapping[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        read_alpaca_annotations(written(tmp_path, ROW, {**ROW, "instruction": "Bye.", **change}))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="annotations must have at least one row, got none in"):
        read_alpaca_annotations(written(tmp_path))
    without = {name: value for name, value in ROW.items() if name != "preference"}
    with pytest.raises(UserError, match="preference must be given"):
        read_alpaca_annotations(written(tmp_path, without))
    twice = read_alpaca_annotations(written(tmp_path, ROW, {**ROW, "input": "now"}, ROW))
    with pytest.raises(UserError, match=r"item 3: each prompt must be compared once .* item 1 again"):
        by_pair(twice)


def test_a_prompt_may_have_several_answers_where_they_are_numbered(tmp_path: Path) -> None:
    places = [{"row": 0, "answer_idx": 0}, {"row": 0, "answer_idx": 1}, {"row": 3, "answer_idx": 0}]
    rows = read_alpaca_annotations(written(tmp_path, *({**ROW, **place} for place in places)))
    assert [one.number for rows in by_pair(rows).values() for one in rows] == [(0, 0), (0, 1), (3, 0)]
    with pytest.raises(UserError, match=r"item 4: each prompt must be compared once .* item 2 again"):
        by_pair(read_alpaca_annotations(written(tmp_path, *({**ROW, **place} for place in [*places, places[1]]))))
