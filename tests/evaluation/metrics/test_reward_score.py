"""A second reward: of drawn answers by their tokens, of texts of a file through its own model."""

import pytest
import torch
from lightning.pytorch import Trainer
from reference.text_answers import example, measured
from reference.tiny_rows import tiny_examples

from qstar_pl.data import RLHFDataModule
from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import Answers, Facts, Harmlessness, RewardProxy, RewardScore, row_scores
from qstar_pl.evaluation.text_rewards import TextRewards
from qstar_pl.methods import SFT
from qstar_pl.models import Pretrained
from qstar_pl.rewards import ExecutionReward, FinalAnswerReward, GoldReward, RewardModelReward
from qstar_pl.samplers import PolicySampler

ROWS = tiny_examples(5)
TEXTS = [str(one.chosen) for one in ROWS]


def built(metric: RewardScore) -> RewardScore:
    metric.build(None)
    return metric


def test_texts_of_a_file_are_scored_by_any_reward() -> None:
    answers = Answers(None, TEXTS, examples=ROWS)
    assert measured(built(RewardScore(GoldReward(), "truth")), answers) == {"reward_truth": 1.0}
    model = RewardModelReward(Pretrained("tiny/reward"))
    found = row_scores(built(Harmlessness(model)), answers)["harmlessness"]
    wanted = TextRewards(model, Pretrained("tiny/reward").tokenizer()).scores(list(zip(ROWS, TEXTS, strict=True)))
    assert found.values.tolist() == pytest.approx(wanted, abs=1e-5)


def test_rows_that_the_reward_does_not_know_do_not_count() -> None:
    rows = [example("1+1", final_answer="2"), example("hello"), example("2+2", final_answer="4")]
    metric = built(RewardScore(FinalAnswerReward(), "right"))
    scores = row_scores(metric, Answers(None, ["2", "2", "5"], examples=rows))["reward_right"]
    assert scores.mask.tolist() == [True, False, True]
    assert scores.counted.tolist() == [1.0, 0.0]
    assert metric.missing(Facts(rows, "x.jsonl")) is None
    assert str(metric.missing(Facts(rows[1:2], "x.jsonl"))).startswith(
        "needs rows that FinalAnswerReward can judge, got 1 of 1 rows of x.jsonl that it cannot: it has no final_answer"
    )
    assert "needs rows that ExecutionReward can judge, got 3 of 3" in str(
        RewardScore(ExecutionReward()).missing(Facts(rows, "x.jsonl"))
    )


def test_a_name_is_a_word_and_building_comes_first() -> None:
    with pytest.raises(UserError, match="name must be a word without /, got 'a/b'"):
        RewardScore(GoldReward(), "a/b")
    with pytest.raises(RuntimeError, match=r"RewardScore.build must be called"):
        RewardScore(GoldReward()).scores(Answers(None, TEXTS, examples=ROWS))


def test_drawn_answers_are_scored_as_the_method_s_own_reward_scores_them() -> None:
    again = RewardScore(RewardModelReward(Pretrained("tiny/reward")), "again")
    module = SFT(metrics=[RewardProxy(), again], evaluation_sampler=PolicySampler(max_new_tokens=4))
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        limit_val_batches=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.validate(module, RLHFDataModule(batch_size=2, eval_batch_size=2, val_limit=2), verbose=False)
    values = trainer.callback_metrics
    assert set(values) == {"val/reward_proxy", "val/reward_again"}
    assert torch.equal(values["val/reward_proxy"], values["val/reward_again"])
