from dataclasses import fields

import pytest
import torch

from qstar_pl.data.adapters.tiny_world import TinyWorld
from qstar_pl.rewards.gold import GoldReward
from qstar_pl.tiny_world import gold_reward
from qstar_pl.types import Example, PromptBatch, Rollout, SamplerInfo, Turn


def rollout(examples, prompt_index):
    rows = len(prompt_index)
    zeros = torch.zeros(rows, 1)
    given = {"prompts", "prompt_index", "completion_ids", "completion_mask", "ended_mask", "info"}
    floats = [field.name for field in fields(Rollout) if field.name not in given]
    return Rollout(
        prompts=PromptBatch(
            prompt_ids=torch.zeros(len(examples), 1, dtype=torch.int64),
            prompt_mask=torch.ones(len(examples), 1, dtype=torch.bool),
            keys=torch.tensor([example.key for example in examples]),
            examples=tuple(examples),
        ),
        prompt_index=torch.tensor(prompt_index),
        completion_ids=torch.zeros(rows, 1, dtype=torch.int64),
        completion_mask=torch.ones(rows, 1, dtype=torch.bool),
        ended_mask=torch.ones(rows, dtype=torch.bool),
        info=SamplerInfo(exact=True, seed=0),
        **dict.fromkeys(floats, zeros),
    )


@pytest.fixture(scope="module")
def examples():
    adapter = TinyWorld(tasks=("dialogue", "summary", "code"), size=30, seed=8)
    return [adapter.example(row, where) for where, row in adapter.rows("tiny", None)]


def test_scores_each_answer_by_its_own_prompt(examples):
    index = [number for number in range(30) for _ in range(2)]
    answers = [text for example in examples for text in (example.chosen, example.rejected)]
    rewards = GoldReward().score(rollout(examples, index), answers)
    assert rewards.shape == (60,)
    assert rewards.dtype == torch.float32
    expected = [
        gold_reward(examples[i].turns[-1].content, answer, examples[i].metadata)
        for i, answer in zip(index, answers, strict=True)
    ]
    assert rewards.tolist() == pytest.approx(expected)
    assert (rewards[0::2] > rewards[1::2] + 0.1).all()
    assert rewards[0::2].min() > 0.9


def test_a_leading_space_changes_nothing(examples):
    index = list(range(30))
    plain = GoldReward().score(rollout(examples, index), [example.chosen for example in examples])
    spaced = GoldReward().score(rollout(examples, index), [f" {example.chosen}" for example in examples])
    assert torch.equal(plain, spaced)


def test_a_dialogue_from_elsewhere_is_scored_by_its_text():
    turns = (Turn("user", "Hi"), Turn("assistant", "Hello!"), Turn("user", "How do I bake bread with rye flour?"))
    examples = [Example(1, turns, "a", "b", {"source": "x"})]
    rewards = GoldReward().score(
        rollout(examples, [0, 0, 0]), ["Mix rye flour with water, then bake it.", "Hello! Hi!", ""]
    )
    assert rewards.tolist() == pytest.approx([1.0, 0.25 * 2 / 8, 0.0])


def test_refuses_a_number_of_answers_that_does_not_fit(examples):
    with pytest.raises(ValueError, match="zip"):
        GoldReward().score(rollout(examples, [0, 1]), ["one"])


def test_has_nothing_to_train():
    assert list(GoldReward().parameters()) == []
