"""`qstar win-rate` as its user meets it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qstar_pl.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def qstar(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        return code, *capsys.readouterr()

    return run


def write(path: Path, model: str, chance: float, prompts: int = 60) -> str:
    generator = np.random.default_rng(len(model))
    rows = [
        {
            "instruction": f"question {number}",
            "output_1": "word " * int(generator.integers(5, 20)),
            "generator_1": "old",
            "output_2": "word " * int(generator.integers(5, 20)),
            "generator_2": model,
            "preference": None if number == 3 else 1 + int(generator.random() < chance),
        }
        for number in range(prompts)
    ]
    path.write_text(json.dumps(rows))
    return path.name


def test_alpaca_7b(real_data: Path, isolated: Path, qstar: Run) -> None:
    code, out, _ = qstar("win-rate", str(real_data / "alpaca_eval/alpaca-7b.alpaca_eval_gpt4.annotations.json.gz"))
    assert code == 0
    assert "win rate         26.46 % ± 1.54, 95% interval 23.5" in out
    assert "205 wins, 16 draws, 584 losses\n" in out
    assert "396 characters, the baseline's 482" in out
    assert "at equal length  25.68 % ± 1.67" in out


def test_several_models_are_rated_and_all_numbers_written(isolated: Path, qstar: Run) -> None:
    files = [write(isolated / f"{name}.json", name, chance) for name, chance in (("a", 0.4), ("bb", 0.6), ("ccc", 0.7))]
    code, out, err = qstar("win-rate", *files, "--output", "numbers.json")
    assert (code, err) == (0, "")
    assert out.count("controlled for length,") + out.count("difficulty") >= 3
    assert "59 comparisons" not in out
    assert ", 1 without a verdict" in out
    numbers = json.loads((isolated / "numbers.json").read_text())
    assert [pair["model"] for pair in numbers["pairs"]] == ["a", "bb", "ccc"]
    best = numbers["differences"][1]
    assert (best["model"], best["than"], best["baseline"]) == ("ccc", "a", "old")
    points = 100 * best["paired"]["difference"]["value"]
    assert f"  ccc minus a: {points:.2f} % ± " in out
    names = [one["name"] for one in numbers["ratings"]["methods"]]
    rates = {pair["model"]: pair["rates"]["win_rate"]["value"] for pair in numbers["pairs"]}
    assert [name for name in names if name != "old"] == sorted(rates, key=rates.__getitem__, reverse=True)


def test_a_model_that_always_wins_is_said_and_rated_with_a_prior(isolated: Path, qstar: Run) -> None:
    files = [write(isolated / f"{name}.json", name, chance) for name, chance in (("a", 0.4), ("bb", 1.0))]
    code, out, err = qstar("win-rate", *files)
    assert code == 0
    assert "every comparison was won" in out
    assert "note: no ratings: methods must win and lose against the rest, got a, old | bb" in err
    assert "ratings" in qstar("win-rate", *files, "--prior=0.5")[1]


def test_gamed_baselines_are_read(isolated: Path, qstar: Run) -> None:
    name = write(isolated / "a.json", "a", 0.5)
    generator = np.random.default_rng(0)
    lines = ["model,index,preference,std_delta_len,instruction_difficulty,not_gamed_baseline"]
    for model, shift in (("terse", 1.0), ("verbose", -1.0)):
        for index in range(60):
            length = generator.normal(shift)
            lines.append(f"{model},{index},{1 / (1 + np.exp(length)):.4f},{length:.4f},{index / 60:.3f},False")
    (isolated / "df_gamed.csv").write_text("\n".join(lines) + "\n")
    code, out, _ = qstar("win-rate", name, "--gamed", "df_gamed.csv")
    assert code == 0
    assert "controlled for length, difficulty, gamed" in " ".join(out.split())
    code, _, err = qstar("win-rate", name, "--gamed", "nowhere.csv")
    assert code != 0
    assert err.startswith("error: gamed must be a file")
    (isolated / "df_gamed.csv").write_text("\n".join(lines[:9]) + "\n")
    assert "must know the difficulty of every prompt" in qstar("win-rate", name, "--gamed", "df_gamed.csv")[2]


@pytest.mark.parametrize("output", ["a.json", "./bb.json", "gamed.csv", "folder/ccc.json"])
def test_numbers_take_the_place_of_nothing_that_is_read(output: str, isolated: Path, qstar: Run) -> None:
    files = [write(isolated / f"{name}.json", name, 0.5) for name in ("a", "bb")]
    (isolated / "gamed.csv").write_text("instruction\n")
    (isolated / "folder").mkdir()
    write(isolated / "folder/ccc.json", "ccc", 0.5)
    before = (isolated / output).read_bytes()
    code, out, err = qstar("win-rate", *files, "folder", "--gamed=gamed.csv", "--output", output)
    said = f"error: output must be none of the files that are read, got {Path(output)}\n"
    assert (code, out, err) == (2, "", said)
    assert (isolated / output).read_bytes() == before


def test_a_place_that_cannot_be_used_is_refused_before_any_number(isolated: Path, qstar: Run) -> None:
    files = [write(isolated / "a.json", "a", 0.5)]
    code, out, err = qstar("win-rate", *files, "--output=a.json/numbers.json")
    said = "error: output must name a place that can be used, got a.json/numbers.json: Not a directory\n"
    assert (code, out, err) == (2, "", said)
