from dataclasses import replace
from pathlib import Path

import pytest
import torch
from reference.tiny_models import SIZES, TableModel, prompt_batch, random_model, word_tokenizer
from torch import nn

from qstar_pl.errors import UserError
from qstar_pl.models import FromConfig, Pretrained, RewardModel
from qstar_pl.rewards import RewardModelReward
from qstar_pl.rollout import Alone, decode
from qstar_pl.types import Rollout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved reward model of the policy's vocabulary."""
    word_tokenizer(tmp_path)
    overrides = {**SIZES["gpt2"], "vocab_size": 11, "initializer_range": 0.5}
    RewardModel(FromConfig("gpt2", overrides, tokenizer_name=str(tmp_path)).load_reward()).save_pretrained(
        str(tmp_path)
    )
    return tmp_path


@pytest.fixture
def rollout() -> Rollout:
    table = torch.randn(11, 11, generator=torch.Generator().manual_seed(0))
    table[:, [0, 2]] = -30.0  # no <pad>, no <unk>: texts stand for ids
    model = TableModel(table, eos=(1,))
    return decode(prompt_batch([[3, 4], [5]]), model, model, Alone("policy"), samples=4, seed=0, max_new_tokens=6)


def texts(rollout: Rollout) -> list[str]:
    rows = zip(rollout.completion_ids, rollout.completion_mask, strict=True)
    return ["".join(f" w{i}" for i in ids[mask].tolist() if i != 1) for ids, mask in rows]


def test_the_reward_is_the_models_at_the_last_sampled_token(folder: Path, rollout: Rollout) -> None:
    reward = RewardModelReward(Pretrained(str(folder)), rows_per_chunk=3)
    assert not list(reward.parameters())
    reward.build(word_tokenizer())
    nn.ModuleList([reward]).train()
    assert list(reward.parameters())
    assert not any(p.requires_grad for p in reward.parameters())
    assert not any(m.training for m in reward.scorer.modules())
    scores = reward.score(rollout, texts(rollout))
    network = Pretrained(str(folder)).load_reward()
    for row, score in enumerate(scores):
        prompt = [[3, 4], [5]][int(rollout.prompt_index[row])]
        ids = torch.tensor([prompt + rollout.completion_ids[row][rollout.completion_mask[row]].tolist()])
        hidden = network.base_model(ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0, -1]
        torch.testing.assert_close(score, network.score(hidden)[0].detach(), rtol=1e-4, atol=1e-5)
    assert scores.std() > 0.01


def test_another_tokenizer_reads_the_texts(folder: Path, rollout: Rollout) -> None:
    """The policy's words have other ids here: only through the texts do the scores come out the same."""
    same, other = (RewardModelReward(Pretrained(str(folder))) for _ in range(2))
    same.build(word_tokenizer())
    other.build(word_tokenizer(vocab=12))
    unended = replace(rollout, completion_mask=rollout.completion_mask & (rollout.completion_ids != 1))
    keep = unended.completion_mask.any(-1)  # an answer that is EOS alone has no text
    assert keep.sum() >= 4
    expected = same.score(unended, texts(rollout))[keep]
    torch.testing.assert_close(other.score(rollout, texts(rollout))[keep], expected, rtol=1e-4, atol=1e-5)


def test_a_language_model_is_not_a_reward_model(tmp_path: Path) -> None:
    random_model("gpt2").float().save_pretrained(tmp_path)
    word_tokenizer(tmp_path)
    with pytest.raises(UserError, match="trained scalar head, got GPT2LMHeadModel"):
        RewardModelReward(Pretrained(str(tmp_path))).build(word_tokenizer())


def test_rows_per_chunk_is_positive() -> None:
    with pytest.raises(UserError, match="rows_per_chunk must be at least 1, got 0"):
        RewardModelReward(rows_per_chunk=0)
