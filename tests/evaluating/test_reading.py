"""Models that answer are read as `qstar validate` reads them: the same numbers, of the same answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from pyarrow import parquet
from small_evaluation import contents, run_small

from qstar_pl.data import RLHFDataModule
from qstar_pl.data.adapters.tiny_world import TinyWorld
from qstar_pl.errors import UserError
from qstar_pl.evaluating import ModelAnswers
from qstar_pl.evaluating.stages import scoring
from qstar_pl.evaluating.stages.model_reading import ModelReading, policy_of
from qstar_pl.evaluation.metrics import (
    AnswerMetric,
    Answers,
    CompletionLength,
    EndedFraction,
    KLPolicyReference,
    Need,
    Perplexity,
    PreferenceAccuracy,
    Scores,
    TextLength,
)
from qstar_pl.methods import DPO
from qstar_pl.models import FromCheckpoint, Pretrained
from qstar_pl.models.logprobs import rollout_logprobs
from qstar_pl.samplers import PolicySampler

METRICS = [KLPolicyReference(), CompletionLength(), EndedFraction(), Perplexity(), PreferenceAccuracy()]
KEYS = ["kl_policy_reference", "completion_length", "ended_fraction", "perplexity", "preference_accuracy"]
LONGEST = 12


def write_pairs(name: str, count: int) -> None:
    """Write the tiny world's pairs, each prompt once, as rows."""
    rows = {one.turns[0].content: one for one in TinyWorld().read("tiny", None, None).examples}
    chosen = [{"prompt": text, "chosen": one.chosen, "rejected": one.rejected} for text, one in rows.items()]
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in chosen[:count]))


def values(output: str = "out") -> dict[str, Any]:
    return json.loads(Path(output, "results.json").read_text())["metrics"]


def lines(output: str = "out") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(output, "scores.jsonl").read_text().splitlines()]


def test_numbers_are_those_of_validate(isolated: Path) -> None:
    write_pairs("pairs.jsonl", 40)
    seed_everything(3)
    sampler = PolicySampler(max_new_tokens=LONGEST)
    method = DPO(policy=Pretrained("tiny/policy"), evaluation_sampler=sampler, metrics=METRICS, reward=None, gold=None)
    method.optimizer = lambda parameters: torch.optim.AdamW(parameters, lr=1e-3)
    options: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", max_steps=2, limit_val_batches=0, **options)
    data = RLHFDataModule(path="pairs.jsonl", val_fraction=0.5, batch_size=8, eval_batch_size=5)
    trainer.fit(method, data)
    trainer.save_checkpoint("moved.ckpt")
    found = Trainer(accelerator="cpu", **options).validate(method, data, verbose=False)
    validated = {key: value for one in found for key, value in one.items()}
    kept = {row.example.turns[0].content for row in data._ready.splits.val}
    rows = Path("pairs.jsonl").read_text().splitlines(keepends=True)
    Path("val.jsonl").write_text("".join(row for row in rows if json.loads(row)["prompt"] in kept))

    answers = ModelAnswers(FromCheckpoint("moved.ckpt", base=Pretrained("tiny/policy")))
    run_small(
        answers=answers,
        dataset="val.jsonl",
        metrics=METRICS,
        max_new_tokens=LONGEST,
        max_prompt_tokens=128,
        max_completion_tokens=64,
        seed=3,
        baseline=None,
        judge=None,
        end_idx=None,
    )
    said = values()
    assert list(said) == KEYS
    assert said["kl_policy_reference"]["answers"]["value"] > 0.01
    for key in KEYS:
        assert said[key]["answers"]["value"] == pytest.approx(validated[f"val/{key}"], rel=1e-5), key
        assert said[key]["answers"]["prompts"] == len(kept)


def test_against_the_baseline_killed_and_gone_on_with(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small: dict[str, Any] = {"metrics": METRICS, "judge": None, "end_idx": 12, "samples_per_prompt": 2}
    monkeypatch.setattr(scoring, "CHUNK", 5)
    run_small("whole", **small)
    first = lines("whole")
    drawn = parquet.read_table("whole/answers.tokens.parquet")
    tokens = dict(zip(*np.unique(drawn["sample_idx"].to_numpy(), return_counts=True), strict=True))
    for line in first:
        assert sum(line["answers"]["CompletionLength"]["completion_length"]["scores"]) == tokens[line["row"]]
        kl = line["answers"]["KLPolicyReference"]["kl_policy_reference"]
        assert kl["per"] == "answer"
        assert len(kl["scores"]) == 2
        assert line["answers"]["PreferenceAccuracy"]["preference_accuracy"]["per"] == "prompt"
    said = values("whole")
    # Against itself a model says nothing; how it reads the data's answers, it does.
    assert "baseline" not in said["kl_policy_reference"]
    assert said["perplexity"]["baseline"]["value"] > 1
    assert said["perplexity"]["difference"]["low"] < said["perplexity"]["difference"]["high"]

    read, asked = ModelReading.comparisons, []

    def dies(self: ModelReading, items: list[Any]) -> Any:
        asked.append(len(items))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return read(self, items)

    monkeypatch.setattr(ModelReading, "comparisons", dies)
    with pytest.raises(KeyboardInterrupt):
        run_small("killed", **small)
    run_small("killed", **small)
    assert asked == [5, 5, 5, 2], "the first chunk was kept"
    assert contents(Path("killed")) == contents(Path("whole"))
    run_small("whole", **small)  # finds everything done
    assert asked == [5, 5, 5, 2]


def test_batches_and_other_metrics_change_no_score(isolated: Path) -> None:
    small: dict[str, Any] = {"judge": None, "end_idx": 10}
    run_small("one", **small, metrics=METRICS)
    run_small("two", **small, metrics=[*METRICS[::-1], TextLength()], batch_size=3)
    for one, two in zip(lines("one"), lines("two"), strict=True):
        assert one["answers"] == {name: two["answers"][name] for name in one["answers"]}


def test_the_tokens_of_answers_must_have_been_kept(isolated: Path) -> None:
    small: dict[str, Any] = {"judge": None, "end_idx": 6, "baseline": None}
    run_small(**small, metrics=[TextLength()])
    with pytest.raises(UserError, match=r"metrics that read tokens must have those of answers.*--overwrite generates"):
        run_small(**small, metrics=[CompletionLength()])
    run_small(**small, metrics=[Perplexity()])  # reads none of them
    assert list(values()) == ["perplexity"]
    run_small(**small, metrics=[CompletionLength()], launch={"overwrite": True})
    run_small(**small, metrics=[TextLength()])  # keeps those that are there
    run_small(**small, metrics=[EndedFraction()])
    assert values()["ended_fraction"]["answers"]["rows"] == 6


def test_an_own_metric_reads_what_decoding_knew(isolated: Path) -> None:
    seen: list[Answers] = []

    class Likelihood(AnswerMetric):
        needs = frozenset({Need.TOKENS})

        def scores(self, answers: Answers) -> dict[str, Scores]:
            seen.append(answers)
            return {"likelihood": Scores.all(answers.rollout.policy_logprobs.sum(-1))}

    run_small(metrics=[Likelihood()], judge=None, end_idx=6, baseline=None)
    (answers,) = seen
    again = rollout_logprobs(policy_of(Pretrained("tiny/policy"), torch.device("cpu"), "32-true"), answers.rollout)
    torch.testing.assert_close(answers.rollout.policy_logprobs, again.detach(), atol=1e-4, rtol=1e-4)


def test_two_real_models_on_hh_rows(real_data: Path, isolated: Path) -> None:
    models, rows = real_data / "tiny_models", real_data / "hh_rlhf" / "helpful-base.test.jsonl.gz"
    small: dict[str, Any] = {
        "answers": str(models / "babyllama_a"),
        "baseline": None,
        "reference": str(models / "babyllama_b"),
        "dataset": str(rows),
        "end_idx": 6,
        "max_prompt_tokens": 64,
        "judge": None,
        "metrics": METRICS,
    }
    with pytest.raises(UserError, match=r"max_completion_tokens must cut .* to the 256 tokens that the models"):
        run_small(**small)
    run_small(**small, max_completion_tokens=128)
    said = values()
    assert list(said) == KEYS
    assert said["kl_policy_reference"]["answers"]["value"] > 0.1
    assert "reference model: Pretrained(" in Path("out/results.md").read_text(encoding="utf-8")
    assert 1 < said["perplexity"]["answers"]["value"] < 10_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": "chosen"}, "KLPolicyReference needs tokens and log-probabilities, which .*, got texts alone"),
        ({}, r"KLPolicyReference needs a model to compare with \(reference\), got none"),
        ({"reference": "tiny/polcy"}, "reference must be one of tiny/expert"),
        ({"max_completion_tokens": 0}, "max_completion_tokens must be at least 1, got 0"),
    ],
    ids=["texts", "no reference", "no model", "no tokens"],
)
def test_what_cannot_be_read_is_said_in_a_line(isolated: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_small(**{"baseline": None, "judge": None, "metrics": METRICS, **changes})
    assert not Path("out/answers.jsonl").exists(), "refused before anything is generated"


def test_data_without_answers_have_no_perplexity(isolated: Path) -> None:
    Path("prompts.jsonl").write_text('{"prompt": "How do I bake bread?"}\n')
    for metric, what in ((Perplexity(), r"an answer \(chosen\)"), (PreferenceAccuracy(), "a pair")):
        with pytest.raises(UserError, match=rf"{type(metric).__name__} needs {what} in the data, got none in 1 rows"):
            run_small(dataset="prompts.jsonl", metrics=[metric], judge=None, end_idx=None)
