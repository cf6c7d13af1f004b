"""Prompts that wait are read as in their own batch."""

import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch
from torch import Tensor

from qstar_pl.models.next_token import DecodeSession
from qstar_pl.rollout.waiting import Waiting
from qstar_pl.types import PromptBatch


class Watched(TableModel):
    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        self.masks.append(prompts.prompt_mask)
        return super().start(prompts, samples)

    masks: list[Tensor]


@pytest.mark.parametrize("first", [[6], [6, 2]], ids=["padded", "even"])
def test_rows_are_read_with_a_mask_if_their_batch_has_pads(first: list[int]) -> None:
    model = Watched(torch.randn(11, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    model.masks = []
    batch = prompt_batch([first, [3, 4], [3, 5], [3, 7]])
    waiting = Waiting([batch], {"policy": model}, 1, aligned=True)
    found = [waiting.take(0, room, beside) for room, beside in ((1, 3), (2, 2), (5, 0))]
    assert [rows.tolist() for rows, _ in found] == [[0], [1, 2], [3]]
    assert len(waiting) == 0
    assert [bool(mask.all()) for mask in model.masks] == [len(first) == 2] * 3
    assert [len(sessions.logits()["policy"]) for _, sessions in found] == [1, 2, 4]
    for rows, sessions in found:
        last = batch.prompt_ids[rows, -1]
        assert torch.equal(sessions.logits()["policy"][: len(rows)], model.table[last])
