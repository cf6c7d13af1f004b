"""A model is asked once for a batch, and again for every other one."""

from dataclasses import replace

import torch
from torch import Tensor

from qstar_pl.methods.bases.answer_memory import MOST, AnswerMemory
from qstar_pl.types import PromptBatch

IDS = torch.tensor([[5, 6, 0]])
MASK = torch.tensor([[True, True, False]])


def prompts(first: int = 1) -> PromptBatch:
    ids = torch.tensor([[first, 2]])
    return PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([7]), ())


def test_a_batch_is_asked_for_once_and_any_other_anew() -> None:
    memory, asked = AnswerMemory(), list[int]()

    def ask(batch: PromptBatch, ids: Tensor = IDS, mask: Tensor = MASK) -> float:
        def find() -> Tensor:
            asked.append(len(asked))
            return torch.full(ids.shape, float(len(asked)))

        return float(memory.logprobs(batch, ids, mask, find)[0, 0])

    assert [ask(prompts()), ask(prompts()), ask(prompts(9)), ask(prompts())] == [1, 1, 2, 1]
    assert ask(prompts(), IDS + 1) == 3
    assert ask(prompts(), IDS, ~MASK) == 4
    padded = replace(prompts(), prompt_mask=torch.tensor([[False, True]]))
    assert [ask(padded), ask(padded)] == [5, 5]
    memory.forget()
    assert [ask(padded), ask(padded)] == [6, 6]


def test_no_more_is_kept_than_it_says() -> None:
    memory, asked = AnswerMemory(), list[int]()
    for _ in range(2):
        for first in range(MOST + 3):
            memory.logprobs(prompts(first), IDS, MASK, lambda: (asked.append(1), IDS.float())[1])  # type: ignore[func-returns-value]
    assert len(asked) == MOST + 3 + 3
