from pathlib import Path

import pytest
import torch
from reference.tiny_models import SIZES, TableModel, prompt_batch, word_tokenizer
from torch import nn

from qstar_pl.errors import UserError
from qstar_pl.models import FromCheckpoint, FromConfig
from qstar_pl.models.reward_parametrisation import Autoregressive, TokenRewards
from qstar_pl.rewards import TokenReward
from qstar_pl.rollout import Alone, decode
from qstar_pl.types import Rollout

PROMPTS = [[3, 4], [5]]


@pytest.fixture
def rollout() -> Rollout:
    model = TableModel(torch.randn(11, 11, generator=torch.Generator().manual_seed(0)), eos=(1,))
    return decode(prompt_batch(PROMPTS), model, model, Alone("policy"), samples=4, seed=0, max_new_tokens=6)


@pytest.fixture
def source(tmp_path: Path) -> FromConfig:
    word_tokenizer(tmp_path)
    overrides = {**SIZES["gpt2"], "vocab_size": 11, "initializer_range": 0.5}
    return FromConfig("gpt2", overrides, tokenizer_name=str(tmp_path))


@pytest.mark.parametrize("parametrisation", [Autoregressive(scale=0.3), TokenRewards(scale=0.3)])
def test_the_reward_is_the_scaled_sum_over_the_answers_tokens(source, rollout, parametrisation) -> None:
    reward = TokenReward(source, parametrisation, rows_per_chunk=3)
    assert not list(reward.parameters())
    reward.build(source.tokenizer())
    nn.ModuleList([reward]).train()
    assert not any(p.requires_grad for p in reward.parameters())
    assert not any(m.training for m in reward.scorer.modules())
    scores = reward.score(rollout, [""] * len(rollout))
    network = source.load()
    for row, score in enumerate(scores):
        prompt = PROMPTS[int(rollout.prompt_index[row])]
        answer = rollout.completion_ids[row][rollout.completion_mask[row]]
        logits = network(input_ids=torch.cat([torch.tensor(prompt), answer])[None]).logits[0, len(prompt) - 1 : -1]
        said = logits.log_softmax(-1) if isinstance(parametrisation, Autoregressive) else logits
        expected = 0.3 * sum(float(said[t, token]) for t, token in enumerate(answer.tolist()))
        assert float(score) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert scores.std() > 0.01


def test_another_vocabulary_is_an_error(source, tmp_path) -> None:
    reward = TokenReward(source)
    with pytest.raises(UserError, match=r"reward\.model"):
        reward.build(word_tokenizer(vocab=12))


def test_what_reward_modeling_trained_is_maximized_by_the_next_stage(tmp_path) -> None:
    from reference.tiny_methods import TinyData, run, small_model

    from qstar_pl.methods import QStar, RewardModeling
    from qstar_pl.samplers import GeometricSampler
    from qstar_pl.targets import Expert

    stage_one, _ = run(RewardModeling(small_model(1), Autoregressive()), TinyData(), max_steps=3)
    checkpoint = str(tmp_path / "reward.ckpt")
    stage_one.trainer.save_checkpoint(checkpoint)
    reward = TokenReward(FromCheckpoint(checkpoint, base=small_model(1)))
    module = QStar(
        policy=small_model(3),
        reward=reward,
        gold=None,
        target=Expert(small_model(2)),
        sampler=GeometricSampler(max_new_tokens=8),
    )
    _, metrics = run(module, TinyData(), max_steps=1)
    assert metrics["reward/mean"] < 0  # a sum of log-probabilities
    for name, weight in stage_one.model.model.state_dict().items():
        torch.testing.assert_close(reward.scorer.model.state_dict()[name], weight)
