"""Whole evaluations: what is written, what is kept, and what is refused."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from small_evaluation import Characters, MedianCharacters, contents, run_small

from qstar_pl.errors import UserError
from qstar_pl.evaluating import DataAnswers, run
from qstar_pl.evaluating.stages import judging
from qstar_pl.evaluation.judges import GoldJudge, LengthJudge
from qstar_pl.evaluation.win_rates import length_controlled
from qstar_pl.generation.shard import Shard


def results(output: str = "out") -> dict:
    return json.loads(Path(output, "results.json").read_text())


def lines(output: str = "out") -> list[dict]:
    return [json.loads(line) for line in Path(output, "scores.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    script = Path(__file__).parents[1] / "reference" / "killed_evaluation.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PL_GLOBAL_SEED": "0"}
    done = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    stages = json.loads(done.stdout.splitlines()[-1])
    # What a run said that was to be killed, and was not.
    assert stages == ["answers", "baseline", "scores", "judging", "statistics", "files"], done.stderr[-5000:]
    return folder


def test_killed_in_every_stage_it_ends_in_the_same_bytes(killed):
    assert contents(killed / "killed") == contents(killed / "reference")
    assert len(contents(killed / "reference")) == 5
    assert len((killed / "reference" / "scores.jsonl").read_text().splitlines()) == 40


def test_batches_change_no_score(killed):
    names = ("answers.jsonl", "scores.jsonl", "results.md")
    batches, reference = (contents(killed / name) for name in ("batches", "reference"))
    assert {name: batches[name] for name in names} == {name: reference[name] for name in names}


def test_begun_by_one_process_and_ended_by_two_it_is_the_evaluation_of_one(killed):
    assert contents(killed / "ranks") == contents(killed / "reference")


def test_scores_are_of_the_answers_and_numbers_of_the_scores(isolated):
    run_small(end_idx=12, samples_per_prompt=2)
    rows = [json.loads(line) for line in Path("out/answers.jsonl").read_text().splitlines()]
    found, said = lines(), results()
    assert [line["row"] for line in found] == list(range(12))
    for line in found:
        texts = [row["messages"][-1]["content"] for row in rows if row["sample_idx"] == line["row"]]
        assert line["answers"]["Characters"]["characters"] == {"per": "answer", "scores": list(map(len, texts))}
        assert line["characters"]["answers"] == list(map(len, texts))
        assert len(line["verdicts"]) == 2
    lengths = [score for line in found for score in line["answers"]["Characters"]["characters"]["scores"]]
    number = said["metrics"]["characters"]
    assert number["answers"]["value"] == pytest.approx(sum(lengths) / 24)
    assert number["answers"]["low"] < number["answers"]["value"] < number["answers"]["high"]
    assert (number["answers"]["rows"], number["answers"]["prompts"]) == (24, 12)
    preferences = [verdict["preference"] for line in found for verdict in line["verdicts"]]
    rate = said["win_rate"]
    assert rate["value"] == pytest.approx(sum(preferences) / 24)
    assert rate["wins"] + rate["ties"] + rate["losses"] == 24
    baseline = [json.loads(line) for line in Path("out/baseline.jsonl").read_text().splitlines()]
    others = [len(row["messages"][-1]["content"]) for row in baseline]
    pairs = [verdict["lengths"] for line in found for verdict in line["verdicts"]]
    assert pairs == [[length, others[place]] for place, length in enumerate(lengths)]
    controlled = length_controlled(preferences, *zip(*pairs, strict=True), groups=np.repeat(range(12), 2))
    assert rate["length_controlled"]["value"] == controlled.value
    assert (rate["length_controlled"].get("low") is None) == (controlled.interval is None)
    words = [row["messages"][-1]["content"] for row in rows]
    letters = sum(sum(map(str.isalpha, text)) for text in words) / sum(len(text.split()) for text in words)
    assert said["metrics"]["letters_per_word"]["answers"]["value"] == pytest.approx(letters)
    assert said["answers"]["weights"] != said["baseline"]["weights"]
    assert said["data"]["evaluated"] == 12


def test_a_finished_evaluation_is_left_as_it_is(isolated, monkeypatch):
    run_small(end_idx=6)
    before = contents(Path("out"))
    monkeypatch.setattr(Characters, "scores", lambda *_: pytest.fail("nothing is to be scored"))
    monkeypatch.setattr(GoldJudge, "compare", lambda *_: pytest.fail("nothing is to be judged"))
    run_small(end_idx=6)
    assert contents(Path("out")) == before


def test_other_metrics_score_the_same_answers_anew_and_keep_the_verdicts(isolated, monkeypatch, capsys):
    run_small(end_idx=6, metrics=[Characters()])
    generated = Path("out/answers.jsonl").stat().st_mtime_ns
    monkeypatch.setattr(GoldJudge, "compare", lambda *_: pytest.fail("verdicts are kept"))
    run_small(end_idx=6, metrics=[MedianCharacters()])
    assert list(results()["metrics"]) == ["median_characters"]
    assert results()["win_rate"]["value"] is not None
    assert Path("out/answers.jsonl").stat().st_mtime_ns == generated


def test_other_answers_or_data_are_refused_with_the_difference(isolated):
    run_small(end_idx=6)
    before = contents(Path("out"))
    with pytest.raises(UserError, match=r"out holds another evaluation: data.end_idx 6 before, 7 now; temperature 1.0"):
        run_small(end_idx=7, temperature=0.5)
    assert contents(Path("out")) == before
    run_small(end_idx=7, launch={"overwrite": True})
    assert results()["data"]["evaluated"] == 7


def test_what_was_refused_at_its_start_leaves_the_folder_free(isolated):
    for wrong in ({"answers": "nowhere.jsonl"}, {"answers": "rejected", "baseline": "nowhere.jsonl"}):
        with pytest.raises(UserError, match=r"there is no nowhere\.jsonl"):
            run_small(**wrong)
    run_small(answers="rejected", baseline="chosen")
    assert results()["answers"]["data"] == "rejected"
    with pytest.raises(UserError, match="out holds another evaluation"):
        run_small(answers="chosen", baseline="chosen")


def test_judge_only_judges_stored_answers_and_scores_nothing(isolated, monkeypatch):
    with pytest.raises(UserError, match="judge_only must be given where an evaluation has ended, got out"):
        run_small(end_idx=6, launch={"judge_only": True})
    run_small(end_idx=6)
    scored = lines()
    monkeypatch.setattr(Characters, "scores", lambda *_: pytest.fail("nothing is to be scored"))
    run_small(end_idx=6, judge=LengthJudge(), launch={"judge_only": True})
    assert results()["win_rate"]["judge"] == "LengthJudge()"
    assert [line["answers"] for line in lines()] == [line["answers"] for line in scored]
    assert [line["verdicts"] for line in lines()] != [line["verdicts"] for line in scored]
    with pytest.raises(UserError, match="judge_only must keep scores"):
        run_small(end_idx=6, metrics=[MedianCharacters()], launch={"judge_only": True})


def test_a_full_disk_says_so_and_loses_nothing(killed, isolated, monkeypatch):
    append, calls = Shard.append, []

    def fails_later(self, *rows):
        calls.extend(["scores"] if "scores" in str(self.path) else [])
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(self, *rows)

    monkeypatch.setattr(Shard, "append", fails_later)
    with pytest.raises(UserError, match="output: writing in out failed: No space left on device; what was finished is"):
        run_small()
    assert not Path("out/results.json").exists()
    monkeypatch.undo()
    monkeypatch.chdir(isolated)
    run_small()
    assert contents(Path("out")) == contents(killed / "reference")


def test_the_datas_own_answers_are_a_source(isolated):
    run_small(answers="rejected", baseline=DataAnswers(), end_idx=20, judge=LengthJudge())
    said = results()
    assert (said["answers"]["data"], said["baseline"]["data"]) == ("rejected", "chosen")
    assert not Path("out/answers.jsonl").exists()
    difference = said["metrics"]["characters"]["difference"]
    values = [said["metrics"]["characters"][side]["value"] for side in ("answers", "baseline")]
    assert difference["value"] == pytest.approx(values[0] - values[1])
    assert 0 <= difference["p"] <= difference["p_holm"] <= 1


def test_the_folder_is_locked_while_it_is_written(isolated, monkeypatch):
    real, seen = run.report_of, []

    def meanwhile(*given):
        seen.append(Path("out/.lock").exists())
        return real(*given)

    monkeypatch.setattr(run, "report_of", meanwhile)
    run_small(end_idx=6)
    assert (seen, Path("out/.lock").exists()) == ([True], False)


@dataclass(frozen=True)
class Kept(LengthJudge):
    keeps_verdicts = True


@pytest.mark.parametrize(("judge", "together"), [(LengthJudge(), 4), (Kept(), 10)], ids=["lost", "kept"])
def test_a_judge_that_keeps_its_verdicts_is_given_many_comparisons_at_a_time(judge, together, isolated, monkeypatch):
    monkeypatch.setattr(judging, "CHUNK", 4)
    asked = []
    compare = LengthJudge.compare
    monkeypatch.setattr(
        LengthJudge, "compare", lambda self, given, *_: asked.append(len(given)) or compare(self, given)
    )
    run_small(answers="rejected", baseline="chosen", metrics=[Characters()], end_idx=10, judge=judge)
    assert max(asked) == together
    assert sum(asked) == 10


def test_what_does_not_fit_into_a_model_is_said_of_its_option(isolated):
    with pytest.raises(UserError, match=r"must fit into the \d+ .* of baseline together, got"):
        run_small(answers="chosen", end_idx=2, max_new_tokens=100_000)
