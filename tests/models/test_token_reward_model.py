import math
from pathlib import Path

import pytest
import torch
from reference.enumeration import predictor
from reference.tiny_models import prompt_batch, random_model, word_tokenizer

from qstar_pl.models import Pretrained
from qstar_pl.models.token_reward_model import TokenRewardModel

PROMPTS = [[3, 4, 5], [6]]
IDS = torch.tensor([[7, 8, 1], [9, 1, 0], [10, 0, 0]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.bool)
INDEX = torch.tensor([0, 1, 1])


def answers() -> list[tuple[list[int], list[int]]]:
    return [(PROMPTS[i], ids[m].tolist()) for i, ids, m in zip(INDEX.tolist(), IDS, MASK, strict=True)]


@pytest.mark.parametrize("pads", [0, 30])
def test_the_reward_is_a_scaled_sum_of_logprobs(pads: int) -> None:
    model = random_model()
    rewards = TokenRewardModel(model, word_tokenizer(), 0.3, normalised=True)(
        prompt_batch(PROMPTS, pads), INDEX, IDS, MASK
    )
    for reward, (prompt, answer) in zip(rewards.tolist(), answers(), strict=True):
        predict = predictor(model, prompt)
        logprobs = [math.log(predict(tuple(answer[:t]))[token]) for t, token in enumerate(answer)]
        assert reward == pytest.approx(0.3 * math.fsum(logprobs), abs=1e-9)


def test_bare_logits_are_summed_as_they_are() -> None:
    model = random_model()
    rewards = TokenRewardModel(model, word_tokenizer(), 2.0, normalised=False)(prompt_batch(PROMPTS), INDEX, IDS, MASK)
    for reward, (prompt, answer) in zip(rewards.tolist(), answers(), strict=True):
        logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 :]
        expected = 2 * math.fsum(float(logits[t, token].detach()) for t, token in enumerate(answer))
        assert reward == pytest.approx(expected, abs=1e-9)


def test_gradients_flow_and_the_folder_is_a_language_model(tmp_path: Path) -> None:
    model = TokenRewardModel(random_model(), word_tokenizer(), 1.0, normalised=True)
    model(prompt_batch(PROMPTS), INDEX, IDS, MASK).sum().backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
    model.save_pretrained(str(tmp_path))
    source = Pretrained(str(tmp_path), dtype="float64")
    assert source.tokenizer().get_vocab() == word_tokenizer().get_vocab()
    ids = torch.tensor([[3, 4, 5]])
    torch.testing.assert_close(source.load()(ids).logits, model.model(ids).logits)
