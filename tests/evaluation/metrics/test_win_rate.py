from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from reference.tiny_rows import tiny_examples

from qstar_pl.data import RLHFDataModule, TinyWorld
from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges import Comparison, GoldJudge, Judge, LengthJudge, TestsJudge, Verdict
from qstar_pl.evaluation.metrics import (
    Answers,
    Facts,
    Measurements,
    RewardGold,
    Start,
    WinRate,
    check_needs,
    numbers,
    row_scores,
)
from qstar_pl.methods import SFT, QStar
from qstar_pl.samplers import GeometricSampler, PolicySampler
from qstar_pl.types import Example, Turn

ROWS = tiny_examples(6)


@dataclass(frozen=True)
class Says(Judge):
    """Prefers an answer as much as it says itself, if that is a number."""

    expensive: bool = False

    def compare(self, comparisons: Sequence[Comparison], progress: Any = None) -> list[Verdict]:
        return [self.of(one.answer) for one in comparisons]

    def of(self, text: str) -> Verdict:
        return Verdict(float(text)) if text.replace(".", "").isdigit() else Verdict(None, "no number")


def answers(*texts: str, examples: Sequence[Example] = ROWS) -> Answers:
    return Answers(None, list(texts), examples=list(examples)[: len(texts)])


def measured(metric: WinRate, *batches: Answers) -> dict[str, float]:
    measurements = Measurements([metric])
    for batch in batches:
        measurements.measure(metric, batch)
    return {key.removeprefix("val/"): float(value) for key, value in measurements.flush("val").items()}


def test_preferences_are_averaged_over_the_verdicts_that_there_are() -> None:
    with pytest.warns(UserWarning, match="win_rate: 1 of 4 have no verdict, 1: no number"):
        found = measured(WinRate(Says()), answers("1", "0.75", "what", "0.5"), answers("0", "0.25"))
    expected = {
        "win_rate": (1 + 0.75 + 0.5 + 0 + 0.25) / 5,
        "win_rate/discrete": (1 + 1 + 0.5 + 0 + 0) / 5,
        "win_rate/ties": 1 / 5,
        "win_rate/no_verdict": 1 / 6,
    }
    assert found == pytest.approx(expected)


def test_row_scores_are_the_verdicts() -> None:
    metric = WinRate(Says(), name="mine")
    with pytest.warns(UserWarning, match="mine: 1 of 3 have no verdict"):
        scores = row_scores(metric, answers("1", "x", "0.5"))
    assert scores["mine"].values[scores["mine"].mask].tolist() == [1, 0.5]
    assert scores["mine/no_verdict"].values.tolist() == [0, 1, 0]
    assert {key: float(value) for key, value in numbers(metric, scores).items()}["mine"] == 0.75


def test_without_any_verdict_there_is_no_rate() -> None:
    with pytest.warns(UserWarning, match="2 of 2 have no verdict"):
        assert measured(WinRate(Says()), answers("a", "b")) == {"win_rate/no_verdict": 1.0}


def test_an_answer_without_a_baseline_has_no_verdict() -> None:
    alone = Example(7, (Turn("user", "Why?"),))
    with pytest.warns(UserWarning, match="1 of 2 have no verdict, 1: there is nothing to compare it with"):
        found = measured(WinRate(Says()), answers("1", "1", examples=[ROWS[0], alone]))
    assert found["win_rate"] == 1
    assert found["win_rate/no_verdict"] == 0.5


def test_the_gold_judge_prefers_the_data_s_better_answers() -> None:
    better = measured(WinRate(GoldJudge()), answers(*[str(row.chosen) for row in ROWS]))
    worse = measured(WinRate(GoldJudge()), answers(*[str(row.rejected) for row in ROWS]))
    assert better["win_rate"] == 0.5  # against themselves
    assert worse["win_rate"] == 0


def test_needs_are_checked_before_anything_is_drawn() -> None:
    none = [Example(1, (Turn("user", "Why?"),)), Example(2, (Turn("user", "How?"),))]

    def refusal(metric: WinRate, facts: Facts) -> str:
        with pytest.raises(UserError) as caught:
            check_needs([metric], facts)
        return str(caught.value)

    assert "preferred answers (chosen) to compare with, got none in 2 rows of a.jsonl" in refusal(
        WinRate(LengthJudge()), Facts(none, "a.jsonl")
    )
    assert "needs a judge that knows the rows, got TestsJudge for 6 rows of tiny: it has no tests" in refusal(
        WinRate(TestsJudge()), Facts(ROWS, "tiny")
    )
    assert "the policy's start to compare with, got texts of a file" in refusal(
        WinRate(LengthJudge(), Start()), Facts(ROWS, tokens=False)
    )
    check_needs([WinRate(GoldJudge())], Facts([*none, *ROWS]))  # one row is enough


def test_what_is_expensive_follows_from_the_judge() -> None:
    assert not WinRate(LengthJudge()).expensive
    assert WinRate(LengthJudge(expensive=True)).expensive
    assert Measurements([WinRate(LengthJudge(expensive=True))]).due(fitting=True) == []


def test_samples_are_checked() -> None:
    with pytest.raises(UserError, match="samples must be at least 1"):
        WinRate(LengthJudge(), samples=0)


SAMPLER = PolicySampler(max_new_tokens=24)


def trainer(**options: Any) -> Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return Trainer(accelerator="cpu", logger=False, num_sanity_val_steps=0, **quiet, **options)


def data(**options: Any) -> RLHFDataModule:
    return RLHFDataModule(adapter=TinyWorld(size=400), batch_size=16, eval_batch_size=16, val_limit=32, **options)


def validated(module: Any, rows: RLHFDataModule) -> dict[str, float]:
    return trainer().validate(module, rows, verbose=False)[0]


def test_against_its_start_a_policy_wins_as_often_as_its_gold_reward_says() -> None:
    """SFT on good demonstrations: half of all before (every answer is the start's own), most after."""
    seed_everything(0, verbose=False)
    win_rate = WinRate(GoldJudge(), Start(), samples=2)
    module = SFT(
        metrics=[RewardGold(), win_rate],
        evaluation_sampler=SAMPLER,
        optimizer=lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.0),
    )
    rows = data()
    before = validated(module, rows)
    assert before["val/win_rate"] == 0.5
    assert before["val/win_rate/ties"] == 1
    trainer(max_steps=15, limit_val_batches=0).fit(module, rows)
    after = validated(module, rows)
    assert after["val/reward_gold"] > before["val/reward_gold"] + 0.15
    assert after["val/win_rate"] > 0.6
    assert after["val/win_rate/no_verdict"] == 0


@pytest.mark.slow
def test_q_star_rises_above_its_start() -> None:
    seed_everything(0, verbose=False)
    module = QStar(
        metrics=[RewardGold(), WinRate(GoldJudge(), Start(), samples=4)],
        sampler=GeometricSampler(max_new_tokens=32),
        evaluation_sampler=PolicySampler(max_new_tokens=32),
    )
    rows = RLHFDataModule(batch_size=8, eval_batch_size=48, val_limit=64)
    before = validated(module, rows)
    trainer(max_steps=100, limit_val_batches=0).fit(module, rows)
    after = validated(module, rows)
    assert after["val/reward_gold"] > before["val/reward_gold"] + 0.03
    assert after["val/win_rate"] > before["val/win_rate"] + 0.03
    assert before["val/win_rate"] == 0.5
