from pathlib import Path

import pytest
import torch
from reference.tiny_models import SIZES, prompt_batch, word_tokenizer
from transformers import AutoModelForSequenceClassification

from qstar_pl.errors import UserError
from qstar_pl.models import FromConfig, Pretrained, RewardModel


def reward_model(family: str, folder: Path) -> RewardModel:
    word_tokenizer(folder)
    overrides = {**SIZES[family], "vocab_size": 11, "initializer_range": 0.5}
    return RewardModel(FromConfig(family, overrides, tokenizer_name=str(folder), dtype="float64").load_reward())


@pytest.mark.parametrize("family", SIZES)
def test_padding_on_either_side_changes_nothing(family: str, tmp_path: Path) -> None:
    model = reward_model(family, tmp_path)
    prompts = prompt_batch([[3, 4, 5], [6]], pads=2)
    ids = torch.tensor([[7, 0, 1, 0, 0], [8, 9, 1, 0, 0], [0, 0, 0, 0, 0]])  # 0 is <pad>: here it is also text
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 0, 0, 0, 0]], dtype=torch.bool)
    index = torch.tensor([0, 1, 1])
    scores = model(prompts, index, ids, mask)
    alone = [[3, 4, 5, 7, 0, 1], [6, 8, 9, 1, 0], [6, 0]]
    for score, sequence in zip(scores, alone, strict=True):
        row = torch.tensor([sequence])
        # The classifier's own path, without any padding and without its search for the last non-pad id.
        hidden = model.model.base_model(row, attention_mask=torch.ones_like(row)).last_hidden_state[0, -1]
        torch.testing.assert_close(score, (model.model.score.weight[0] @ hidden).float(), rtol=1e-5, atol=1e-6)


def test_prefix_scores_are_the_rewards_of_prefixes(tmp_path: Path) -> None:
    model = reward_model("llama", tmp_path)
    ids = torch.tensor([[3, 4, 5, 6]])
    prefixes = torch.cat([model.score(ids[:, :n], torch.ones(1, n, dtype=torch.bool)) for n in range(1, 5)])
    torch.testing.assert_close(model.prefix_scores(ids, torch.ones_like(ids, dtype=torch.bool))[0], prefixes)


def test_a_saved_model_comes_back_and_hugging_face_reads_it(tmp_path: Path) -> None:
    model = reward_model("gpt2", tmp_path)
    model.save_pretrained(str(tmp_path))
    ids = torch.tensor([[3, 4, 5, 6]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    again = RewardModel(Pretrained(str(tmp_path), dtype="float64").load_reward())
    torch.testing.assert_close(again.score(ids, mask), model.score(ids, mask))
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float64)
    torch.testing.assert_close(theirs(ids).logits.flatten().float(), model.score(ids, mask))


def test_gradients_reach_the_backbone(tmp_path: Path) -> None:
    model = reward_model("gpt2", tmp_path)
    ids = torch.tensor([[3, 4, 5]])
    model.score(ids, torch.ones_like(ids, dtype=torch.bool)).sum().backward()
    assert model.model.transformer.h[0].attn.c_attn.weight.grad.abs().sum() > 0


def test_a_text_beyond_the_learnt_positions_is_refused(tmp_path: Path) -> None:
    model = reward_model("gpt2", tmp_path)
    ids = torch.full((1, 129), 3)
    with pytest.raises(UserError, match="128 positions, got 129"):
        model.score(ids, torch.ones_like(ids, dtype=torch.bool))
