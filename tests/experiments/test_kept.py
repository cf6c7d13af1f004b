import json
from dataclasses import replace
from pathlib import Path

import pytest
from seed_results import result

from qstar_pl.experiments.kept import Planned, time_left


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "model.yaml").write_text("class_path: DPO\nmore: ../a.yaml\n")  # back in a circle
    (tmp_path / "a.yaml").write_text("model: parts/model.yaml\ndata: none.yaml\n")
    return Planned(tmp_path / "a.yaml", 3, tmp_path / "out" / "a", ("--trainer.max_steps=1",))


def test_a_result_comes_back_whole(planned: Planned) -> None:
    assert planned.kept() is None
    nan = replace(result(3, 0.5, float("inf")), seconds=1.5)
    planned.keep(nan, planned.fingerprint())
    assert planned.kept() == nan


def test_of_another_run_it_does_not(planned: Planned) -> None:
    before = planned.fingerprint()
    planned.keep(result(3, 0, 1), before)
    assert replace(planned, overrides=()).kept() is None
    assert replace(planned, config=planned.config.parent / "parts" / "model.yaml").kept() is None
    (planned.config.parent / "parts" / "model.yaml").write_text("class_path: PPO\n")
    planned.keep(result(3, 0, 1), before)  # edited while it ran
    assert planned.kept() is None


@pytest.mark.parametrize("word", ["--trainer=longer.yaml", "longer.yaml"])
def test_files_that_its_words_name_count(planned: Planned, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(planned.config.parent)
    Path("longer.yaml").write_text("max_steps: 2\n")
    planned = replace(planned, overrides=("--trainer", word))
    planned.keep(result(3, 0, 1), planned.fingerprint())
    assert planned.kept() is not None
    Path("longer.yaml").write_text("max_steps: 3\n")
    assert planned.kept() is None


@pytest.mark.parametrize(
    ("word", "file"),
    [("--model.reward=own.Judge", "own.py"), ("--data.path=rows.jsonl", "rows.jsonl"), ("--a=b.c.D", "b/c.py")],
)
def test_code_and_data_that_its_words_name_count(
    planned: Planned, word: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(planned.config.parent)
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text("1\n")
    planned = replace(planned, overrides=(word,))
    planned.keep(result(3, 0, 1), planned.fingerprint())
    assert planned.kept() is not None
    Path(file).write_text("2 3\n")
    assert planned.kept() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fingerprint": "MARK"}', '{"fingerprint": "MARK", "result": 3}'])
def test_damage_is_no_result(planned: Planned, text: str) -> None:
    planned.keep(result(3, 0, 1), planned.fingerprint())
    mark = json.loads(planned.result.read_text())["fingerprint"]
    planned.result.write_text(text.replace("MARK", mark))
    assert planned.kept() is None


def test_time_left_is_by_configuration_where_it_is_known(planned: Planned) -> None:
    other = replace(planned, config=Path("b.yaml"))
    assert time_left([planned, other], {}) is None
    assert time_left([planned, other], {"a": [10, 20], "c": [60]}) == 15 + 30
