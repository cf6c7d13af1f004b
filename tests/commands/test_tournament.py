"""`qstar tournament` as a user meets it, with a judge from outside the package."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reference.tiny_rows import tiny_examples

Call = Callable[..., tuple[int, str, str]]
JUDGE = '''
from dataclasses import dataclass
from pathlib import Path

from qstar_pl.evaluation.judges import Judge, Verdict


@dataclass(frozen=True)
class Counting(Judge):
    """Prefers the longer answer, and writes down what it was asked; dies when it has seen too much."""

    most: int = 10**9

    @property
    def description(self):
        return "Counting"

    def compare(self, comparisons, progress=None):
        with Path("asked").open("a") as file:
            file.writelines(f"{one.answer}|{one.baseline}\\n" for one in comparisons)
        if len(Path("asked").read_text().splitlines()) > self.most:
            raise KeyboardInterrupt
        progress(len(comparisons))
        return [Verdict.of_scores(len(one.answer), len(one.baseline)) for one in comparisons]
'''
ROWS = tiny_examples(40)
WORDS = ("--answers", "a.jsonl", "b.jsonl", "third=c.jsonl", "--num_samples=40", "--output=out", "--device=cpu")


@pytest.fixture(autouse=True)
def answers_and_a_judge(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate("abc"):
        with Path(f"{name}.jsonl").open("w") as file:
            for number, row in enumerate(ROWS):
                turns = [{"role": turn.role, "content": turn.content} for turn in row.turns]
                # Lengths that often, but not always, grow from file to file.
                text = name * (1 + 2 * seed + (7 * number + 3 * seed) % 5)
                file.write(json.dumps({"messages": [*turns, {"role": "assistant", "content": text}]}) + "\n")
    Path("outside.py").write_text(JUDGE)
    monkeypatch.syspath_prepend(isolated)
    sys.modules.pop("outside", None)


def asked() -> int:
    return len(Path("asked").read_text().splitlines())


def numbers() -> Any:
    return json.loads(Path("out", "ratings.json").read_text())


def test_every_pair_is_judged_once_and_what_was_judged_is_kept(qstar: Call) -> None:
    code, out, said = qstar("tournament", *WORDS, "--judge=outside.Counting", "--judge.most=80")
    assert code != 0  # stopped after 80 of 120 questions
    assert asked() == 2 * 48  # two chunks of 16 prompts, the first of which is kept
    code, out, said = qstar("tournament", *WORDS, "--judge=outside.Counting")
    assert code == 0, said
    assert asked() == 2 * 48 + 120 - 48
    assert "3 methods on 40 prompts: 120 comparisons" in out
    found = numbers()
    assert found["methods"] == ["third", "b", "a"]
    assert [one["name"] for one in found["ratings"]] == found["methods"]
    assert found["win_rates"][0][1] + found["win_rates"][1][0] == pytest.approx(1)
    total, kept = asked(), Path("out", "comparisons.jsonl").read_bytes()
    assert qstar("tournament", *WORDS, "--judge=outside.Counting")[0] == 0
    assert asked() == total
    assert Path("out", "comparisons.jsonl").read_bytes() == kept
    code, out, _ = qstar("win-rate", "out/comparisons.jsonl")
    assert code == 0
    assert "third" in out


def test_a_method_that_always_wins_is_said_to(qstar: Call) -> None:
    words = ("tournament", "--answers", "chosen", "rejected", "--num_samples=20", "--output=out", "--judge=GoldJudge")
    code, out, said = qstar(*words)
    assert code == 0
    assert "2 methods on 20 prompts: 20 comparisons, 0 ties" in out
    assert "no ratings: methods must win and lose against the rest" in said
    assert numbers()["ratings"] is None
    assert qstar(*words, "--prior=0.5")[0] == 0
    assert numbers()["ratings"][0]["name"] == "chosen"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--answers a.jsonl b.jsonl --output=out", "--judge must be given"),
        ("--answers a.jsonl b.jsonl --judge=LengthJudge", "--output must be given"),
        ("--judge=LengthJudge --output=out", "--answers must be given"),
        ("--answers a.jsonl --judge=LengthJudge --output=out", "answers must be of two methods or more, got 1"),
        (
            "--answers a.jsonl a.jsonl --judge=LengthJudge --output=out",
            "names of their own (NAME=FILE gives one), got a",
        ),
        ("--answers a.jsonl n.jsonl --judge=LengthJudge --output=out", "answers must be a file|there is no n.jsonl"),
        ("--answers a.jsonl b.jsonl --judge=TestsJudge --output=out", "judge must know the rows, got TestsJudge for"),
        ("--answers a.jsonl b.jsonl --judge=LengthJudge --output=out --prior=-1", "prior must be at least 0, got -1"),
        ("--answers a.jsonl b.jsonl --judge=LengthJudge --output=a.jsonl", "output must be a folder"),
    ],
    ids=["judge", "output", "answers", "one", "same name", "no file", "unknown rows", "prior", "a file"],
)
def test_mistakes(qstar: Call, words: str, message: str) -> None:
    code, _, said = qstar("tournament", *words.split(), "--num_samples=40")
    assert code != 0
    assert "Traceback" not in said
    for part in message.split("|"):
        assert part in said


def test_no_place_is_not_the_working_folder(qstar: Call) -> None:
    code, _, err = qstar("tournament", "--answers", "chosen", "rejected", "--judge=LengthJudge", "--output", " ")
    assert (code, err) == (2, "error: output must name a file or a folder, got nothing\n")
