"""`qstar evaluate` as a user meets it: the tables of real rows, what is stored, and what is said of mistakes."""

import gzip
import json
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from qstar_pl.evaluating.stages.scoring import Scoring

Call = Callable[..., tuple[int, str, str]]


def write(name: str, rows: Iterable[Any]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def first_rows(path: Path, count: int) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line, _ in zip(file, range(count), strict=False)]


def results(folder: str = "out") -> dict[str, Any]:
    return json.loads(Path(folder, "results.json").read_text())


def test_two_models_on_hh_rows(real_data: Path, qstar: Call) -> None:
    models, rows = real_data / "tiny_models", real_data / "hh_rlhf" / "helpful-base.test.jsonl.gz"
    words = f"--answers {models}/babyllama_a --baseline {models}/babyllama_b --dataset {rows} --num_samples 12"
    judge = "--judge=GoldJudge --judge.heuristic=true"
    sizes = "--max_prompt_tokens 100 --max_new_tokens 40 --samples_per_prompt 2"
    code, out, _ = qstar("evaluate", *f"{words} {sizes} {judge} --output out".split())
    assert code == 0
    assert "12 prompts; answers 24, baseline 24; intervals of 95%" in out
    assert "win rate against the baseline" in out
    said = results()
    assert list(said["metrics"]) == ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    assert said["answers"]["weights"] != said["baseline"]["weights"]
    assert "at equal lengths" in out
    assert 0 < said["win_rate"]["length_controlled"]["value"] < 1
    assert sum(said["win_rate"][name] for name in ("wins", "ties", "losses")) == 24
    assert said["answers"]["prompts_cut"] > 0
    for number in said["metrics"].values():
        assert number["difference"]["value"] == pytest.approx(
            number["answers"]["value"] - number["baseline"]["value"], abs=1e-12
        )
    again, printed, _ = qstar("evaluate", "--judge_only", "--judge=LengthJudge", "--output", "out")
    assert again == 0
    assert results()["win_rate"]["judge"] == "LengthJudge()"
    for key, number in results()["metrics"].items():
        assert number["answers"] == said["metrics"][key]["answers"]
    assert "judge LengthJudge()" in printed


def test_programs_of_human_eval(real_data: Path, qstar: Call) -> None:
    file = real_data / "humaneval" / "HumanEval.jsonl.gz"
    problems = first_rows(file, 3)
    right = [10, 4, 0]  # of ten each
    completions = [
        {"task_id": one["task_id"], "completion": one["canonical_solution"] if number < count else "    return None\n"}
        for one, count in zip(problems, right, strict=True)
        for number in range(10)
    ]
    write("samples.jsonl", completions)
    words = ["--answers", "samples.jsonl", "--dataset", str(file), "--num_samples", "3", "--output", "out"]
    code, out, _ = qstar("evaluate", *words)
    assert code == 0
    assert list(results()["metrics"]) == ["execution_accuracy", "pass@1", "pass@10"]
    assert "3 prompts; answers 30; intervals of 95%" in out
    numbers = {key: one["answers"] for key, one in results()["metrics"].items()}
    assert numbers["execution_accuracy"]["value"] == pytest.approx(14 / 30)
    assert numbers["pass@1"]["value"] == pytest.approx(14 / 30)
    assert numbers["pass@10"]["value"] == pytest.approx(2 / 3)
    assert numbers["pass@10"]["rows"] == 3
    assert numbers["execution_accuracy"]["low"] < 14 / 30 < numbers["execution_accuracy"]["high"]
    assert numbers["pass@1"]["interval"] == "clustered Wilson"
    for end in ("low", "high", "error"):
        assert numbers["pass@1"][end] == pytest.approx(numbers["execution_accuracy"][end])
    write("fewer.jsonl", completions[:25])
    words[1], words[-1] = "fewer.jsonl", "of_fewer"
    assert qstar("evaluate", *words)[0] == 0
    assert list(results("of_fewer")["metrics"]) == ["execution_accuracy", "pass@1"]


def test_translations_of_wmt(real_data: Path, qstar: Call) -> None:
    import sacrebleu

    file = real_data / "wmt" / "wmt_en_ro_fixture_test.jsonl"
    pairs = [json.loads(line)["translation"] for line in file.read_text().splitlines()]
    texts = {"better": [one["ro"].partition(" ")[2] for one in pairs], "worse": [one["ro"][::2] for one in pairs]}
    for name, own in texts.items():
        write(f"{name}.jsonl", [{"en": one["en"], "answer": text} for one, text in zip(pairs, own, strict=True)])
    answers = "--answers better.jsonl --answers.prompt_field en --baseline worse.jsonl --baseline.prompt_field en"
    code, out, _ = qstar("evaluate", *f"{answers} --dataset {file} --output out".split())
    assert code == 0
    numbers = results()["metrics"]
    references = [[one["ro"].strip() for one in pairs]]
    for side, name in (("answers", "better"), ("baseline", "worse")):
        assert numbers["bleu"][side]["value"] == pytest.approx(sacrebleu.corpus_bleu(texts[name], references).score)
        assert numbers["chrf"][side]["value"] == pytest.approx(sacrebleu.corpus_chrf(texts[name], references).score)
    difference = numbers["bleu"]["difference"]
    assert 0 < difference["low"] < difference["value"] < difference["high"]
    assert difference["p"] < difference["p_holm"] < 0.01
    assert "20 prompts; answers 20, baseline 20" in out


def test_questions_of_nq_and_statistics_anew(real_data: Path, qstar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    file = real_data / "nq_open" / "NQ-open.dev.jsonl.gz"
    rows = first_rows(file, 30)
    texts = [f"The {row['answer'][-1]}." if number % 3 else "nobody knows" for number, row in enumerate(rows)]
    write("a.jsonl", [{"question": row["question"], "answer": text} for row, text in zip(rows, texts, strict=True)])
    code, _, _ = qstar(
        "evaluate", "--answers", "a.jsonl", "--dataset", str(file), "--num_samples=30", "--output", "out"
    )
    assert code == 0
    numbers = results()["metrics"]
    assert numbers["exact_match"]["answers"]["value"] == pytest.approx(20 / 30)
    assert 20 / 30 <= numbers["token_f1"]["answers"]["value"] < 1
    file_of_scores = Path("out/scores.jsonl").read_bytes()
    Path("a.jsonl").unlink()  # neither answers nor data are needed any more
    code, out, _ = qstar("evaluate", "--from_scores", "out", "--confidence", "0.5", "--output", "narrow")
    assert code == 0
    assert "intervals of 50%" in out
    narrow = results("narrow")["metrics"]["token_f1"]["answers"]
    assert numbers["token_f1"]["answers"]["low"] < narrow["low"] < narrow["value"] < narrow["high"]
    assert Path("narrow/scores.jsonl").read_bytes() == file_of_scores
    code, _, _ = qstar("evaluate", "--from_scores", "out")
    assert code == 0
    assert results()["metrics"] == numbers


def test_markdown_has_every_number(qstar: Call) -> None:
    words = "--answers rejected --baseline chosen --num_samples 30 --judge=GoldJudge --output out"
    code, _, _ = qstar("evaluate", *words.split())
    assert code == 0
    table = Path("out/results.md").read_text()
    assert "| rouge1 |" in table
    assert "win rate against the baseline" in table
    times = json.loads(Path("out/times.json").read_text())
    assert set(times["seconds"]) >= {"answers", "baseline", "scores", "judging", "statistics"}
    assert 0 < times["overhead"] <= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_stopped_while_it_scores_it_says_how_it_goes_on(
    qstar: Call, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    line = "--answers rejected --baseline chosen --num_samples 40 --judge=GoldJudge --quiet --output out"
    words = line.split()
    records, calls = Scoring.records, []

    def stops(self: Scoring, *given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            os.kill(os.getpid(), number)
        return records(self, *given)

    monkeypatch.setattr(Scoring, "records", stops)
    code, _, err = qstar("evaluate", *words)
    assert code == 128 + number
    assert "stopped; what was finished is kept in out, and the same command goes on with the evaluation" in err
    assert not Path("out/results.json").exists()
    calls = [None] * 3  # both sides of the first 32 prompts are there already
    assert qstar("evaluate", *words)[0] == 0
    assert len(calls) == 5
    assert results()["data"]["evaluated"] == 40


@pytest.mark.parametrize(
    ("words", "argument"),
    [
        (["--output="], "output"),
        (["--output", ""], "output"),
        (["--output", " "], "output"),
        (["--output", "", "--judge_only"], "output"),
        (["--from_scores", "", "--output=new"], "from_scores"),
        (["--from_scores", "done", "--output", ""], "output"),
        (["--config=own.yaml"], "output"),
    ],
)
def test_no_place_is_not_the_working_folder(words: list[str], argument: str, qstar: Call) -> None:
    Path("done").mkdir()
    Path("done/config.yaml").write_text("answers: rejected\n")
    Path("own.yaml").write_text("output: ''\n")
    before = sorted(Path().rglob("*"))
    code, _, err = qstar("evaluate", "--answers=rejected", "--num_samples=2", *words)
    assert (code, err) == (2, f"error: {argument} must name a file or a folder, got nothing\n")
    assert sorted(Path().rglob("*")) == before
