"""A metric and a judge from outside the package, named by their paths, in fit, validate and test, on two ranks too."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_run import SMALL

from qstar_pl.data import RLHFDataModule
from qstar_pl.evaluation.metrics import POLICY_METRICS
from qstar_pl.methods import QStar

PLUG_IN = '''
from dataclasses import dataclass

from qstar_pl.evaluation.judges import Judge, Verdict
from qstar_pl.evaluation.metrics import AnswerMetric, Drawing, Need, Scores


@dataclass(frozen=True)
class SharedWords(AnswerMetric):
    """Share of the reference's words that the most probable answer has too."""

    lower: bool = False

    @property
    def drawing(self):
        return Drawing(greedy=True)

    @property
    def needs(self):
        return frozenset({Need.REFERENCES})

    def scores(self, answers):
        pairs = zip(answers.texts, answers.references, strict=True)
        return {"shared_words": Scores.of([self.share(answer, all_of) if all_of else None for answer, all_of in pairs])}

    def share(self, answer, references):
        return max(len(self.words(answer) & self.words(one)) / len(self.words(one)) for one in references)

    def words(self, text):
        return set((text.lower() if self.lower else text).split())


@dataclass(frozen=True)
class BestReward(AnswerMetric):
    """The best gold reward of several answers to a prompt."""

    samples: int = 4
    expensive: bool = True

    @property
    def drawing(self):
        return Drawing(samples=self.samples)

    def scores(self, answers):
        best = answers.rewards["gold"].view(-1, answers.samples).amax(-1)
        return {f"best_of_{self.samples}": Scores.all(best, per="prompt")}


@dataclass(frozen=True)
class Terse(Judge):
    """Prefers the answer with fewer words."""

    expensive: bool = False
    slack: int = 0

    def compare(self, comparisons, progress=None):
        counts = [[len(text.split()) for text in (one.answer, one.baseline)] for one in comparisons]
        return [Verdict.of_scores(-answer, -baseline, self.slack) for answer, baseline in counts]
'''
MODULE = "somebodys_metrics"
SHORT = (
    *SMALL,
    "--data.eval_batch_size=2",
    "--data.val_fraction=0.2",
    "--data.test_fraction=0.2",
    "--model.sampler.max_new_tokens=6",
    "--model.evaluation_sampler.max_new_tokens=12",
    "--trainer.limit_val_batches=2",
    "--trainer.limit_test_batches=2",
)
BUDGETS = ("samples/total", "generated/total", "tokens/total")
ADDED = (
    f"--model.metrics+={MODULE}.SharedWords",
    "--model.metrics.lower=true",
    f"--model.metrics+={MODULE}.BestReward",
    "--model.metrics.samples=3",
    "--model.metrics+=WinRate",
    f"--model.metrics.judge={MODULE}.Terse",
    "--model.metrics.judge.slack=1",
    "--model.metrics.name=terse",
    "--model.metrics+=WinRate",
    "--model.metrics.judge=RewardModelJudge",
    "--model.metrics.judge.reward=RewardModelReward",
    "--model.metrics.judge.soft=true",
    "--model.metrics.baseline=Start",
    "--model.metrics.samples=2",
)


@pytest.fixture(autouse=True)
def somebodys_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{MODULE}.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop(MODULE, None)


def logged(folder: Path, prefix: str) -> dict[str, float]:
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    return {key: value for row in rows for key, value in row.items() if key.startswith(prefix)}


def test_it_is_measured_by_fit_validate_and_test_whatever_the_ranks(qstar, tmp_path: Path) -> None:
    words = ("--trainer.max_steps=1", "--trainer.val_check_interval=1", "--trainer.check_val_every_n_epoch=null")
    assert qstar("fit", *SHORT, *words, *ADDED, "--name=fit")[0] == 0
    fitted = logged(Path("runs/fit/version_0"), "val/")
    assert 0 <= fitted["val/shared_words"] <= 1
    assert "val/best_of_3" not in fitted  # it is expensive
    for name in ("terse", "win_rate"):
        assert {f"val/{name}{end}" for end in ("", "/discrete", "/ties", "/no_verdict")} <= set(fitted)
        assert 0 < fitted[f"val/{name}"] < 1
    assert {f"val/{key}" for key in ("reward_proxy", "reward_gold", "completion_length", "perplexity")} <= set(fitted)
    assert len(POLICY_METRICS) == 7

    # A checkpoint may not name code that the package does not have: whoever measures it says so again.
    checkpoint = "--ckpt_path=" + str(next(Path("runs/fit").rglob("*.ckpt")))
    code, _, said = qstar("test", *SHORT, checkpoint, "--name=test")
    assert code != 0
    assert f"{MODULE}.SharedWords" in said
    done = qstar("test", *SHORT, checkpoint, *ADDED, "--name=test")
    assert done[0] == 0, done[2]
    tested = logged(Path("runs/test/version_0"), "test/")
    assert tested["test/best_of_3"] >= tested["test/reward_gold"]
    assert {key.removeprefix("test/") for key in tested} >= {key.removeprefix("val/") for key in fitted}

    two_ranks = ("--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.limit_val_batches=1", "--name=two")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "qstar_pl", "validate", *SHORT, checkpoint, *ADDED, *two_ranks],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    two = logged(Path("runs/two/validate/version_0"), "val/")
    # A divergence of 0.003 nats is a difference of float32 numbers that rounds as the rows of a batch fall.
    assert {key: two[key] for key in fitted} == pytest.approx(fitted, rel=1e-5, abs=1e-6)
    # Each row of validation says what training had cost; a checkpoint that is measured, by however many, what it had.
    cost = {key: logged(Path("runs/fit/version_0"), key)[key] for key in BUDGETS}
    assert cost["samples/total"] > 0
    measured = {key: logged(Path("runs/two/validate/version_0"), key)[key] for key in BUDGETS}
    assert measured == pytest.approx(cost)
    assert set(two) - set(fitted) == {"val/best_of_3"}


def test_it_is_an_argument_like_others_in_python() -> None:
    import somebodys_metrics
    from lightning.pytorch import Trainer

    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        limit_val_batches=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    module = QStar(metrics=[somebodys_metrics.BestReward(samples=2)])
    trainer.validate(module, RLHFDataModule(batch_size=2, eval_batch_size=2, val_limit=2), verbose=False)
    assert set(trainer.callback_metrics) == {"val/best_of_2"}
    assert torch.isfinite(trainer.callback_metrics["val/best_of_2"])
