from dataclasses import replace
from pathlib import Path

import pytest
import torch
from reference.renumbered import permutation, save_renumbered
from reference.tiny_models import SIZES, TableModel, prompt_batch, random_model, word_tokenizer
from torch import nn
from transformers import AutoModelForSequenceClassification

from qstar_pl import QStarGenerator
from qstar_pl.data.batches.collate import PromptCollate
from qstar_pl.errors import UserError
from qstar_pl.models import FromConfig, Pretrained, RewardModel
from qstar_pl.models.tiny import resolve
from qstar_pl.models.tokenizers import load_tokenizer
from qstar_pl.rewards import RewardModelReward
from qstar_pl.rollout import Alone, decode
from qstar_pl.samplers import PolicySampler
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


def test_one_unused_token_more_changes_no_reward(folder: Path, rollout: Rollout) -> None:
    """Answers that ended and answers that were cut, markers and EOS included; so do other ids of the same words."""
    same, more, renumbered = (RewardModelReward(Pretrained(str(folder))) for _ in range(3))
    same.build(word_tokenizer())
    more.build(word_tokenizer(vocab=12))
    expected = same.score(rollout, texts(rollout))
    assert rollout.ended_mask.any()
    assert not rollout.ended_mask.all()
    torch.testing.assert_close(more.score(rollout, texts(rollout)), expected, rtol=1e-4, atol=1e-5)
    new = permutation(11)
    save_renumbered(random_model(), word_tokenizer(), folder / "policy", new)
    renumbered.build(load_tokenizer(str(folder / "policy")))
    mapped = torch.tensor(new)
    prompts = replace(rollout.prompts, prompt_ids=mapped[rollout.prompts.prompt_ids])
    others = replace(rollout, prompts=prompts, completion_ids=mapped[rollout.completion_ids])
    torch.testing.assert_close(renumbered.score(others, texts(rollout)), expected, rtol=1e-4, atol=1e-5)


def test_the_tiny_reward_behind_one_token_more(isolated: Path) -> None:
    """The case of `shared/cases/02_reward_other_tokenizer`, with an added token and with one less at the end."""
    tokenizer = load_tokenizer("tiny")
    tokenizer.add_tokens(["<|unused|>"])
    model = AutoModelForSequenceClassification.from_pretrained(resolve("tiny/reward"), num_labels=1)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained("more")
    tokenizer.save_pretrained("more")
    found = QStarGenerator("tiny/policy", device="cpu")
    module = found._module
    module.samples_per_prompt, module.seed = 2, 0
    prompts = ["What do otters eat?", "Where does the owl live?", "What colour is a fox?"]
    batch = PromptCollate(pad_id=0)(found._encode(prompts))
    module.sampler = PolicySampler(max_new_tokens=20)
    rollout = module.draw(batch)
    own, other = RewardModelReward(Pretrained("tiny/reward")), RewardModelReward(Pretrained("./more"))
    for reward in (own, other):
        reward.build(module.tokenizer)
    torch.testing.assert_close(other.score(rollout, [""] * 6), own.score(rollout, [""] * 6), rtol=1e-4, atol=1e-4)


def test_a_language_model_is_not_a_reward_model(tmp_path: Path) -> None:
    random_model("gpt2").float().save_pretrained(tmp_path)
    word_tokenizer(tmp_path)
    with pytest.raises(UserError, match="trained scalar head, got GPT2LMHeadModel"):
        RewardModelReward(Pretrained(str(tmp_path))).build(word_tokenizer())


def test_rows_per_chunk_is_positive() -> None:
    with pytest.raises(UserError, match="rows_per_chunk must be at least 1, got 0"):
        RewardModelReward(rows_per_chunk=0)
