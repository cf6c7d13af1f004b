"""Two models that share their weights are decoded in one pass per token, with the same rollout."""

from typing import Any

import pytest
import torch
from reference.tiny_methods import ending_model

from qstar_pl.models import LanguageModel, LoRA
from qstar_pl.models.adapters_off import without_adapters
from qstar_pl.rollout import lockstep
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.samplers import GeometricSampler
from qstar_pl.types import PromptBatch, Rollout

pytest.importorskip("peft", reason="peft is part of the extra lora")


@pytest.fixture(scope="module")
def pair() -> tuple[LanguageModel, LanguageModel]:
    model = LoRA(ending_model(1), rank=2).load()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    tokenizer = ending_model(1).tokenizer()
    return LanguageModel(model, tokenizer), LanguageModel(without_adapters(model), tokenizer)


def check_same(one: Rollout, two: Rollout) -> None:
    assert torch.equal(one.completion_ids, two.completion_ids)
    for column in COLUMNS:
        torch.testing.assert_close(getattr(one, column), getattr(two, column), atol=1e-5, rtol=1e-5)
    assert (one.policy_logprobs - one.target_logprobs).abs().max() > 0.1


def test_one_pass_gives_the_rollout_of_two(
    pair: tuple[LanguageModel, LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ragged prompts and answers: rows leave the batch while it is decoded. Both ways take 4 rows at least, of which a
    thread makes the same numbers in a batch of any size; batches below that differ by rounding."""
    policy, target = pair
    mask = torch.tensor([[False, True, True, True], [True] * 4, [False, False, True, True]])
    prompts = PromptBatch(torch.randint(5, 600, (3, 4)), mask, torch.arange(3), ())
    passes: list[int] = []
    handle = policy.model.lm_head.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0])))

    def draw() -> tuple[Any, list[int]]:
        passes.clear()
        return GeometricSampler(max_new_tokens=24).draw(prompts, policy, target, samples=4, seed=3), list(passes)

    draw()  # the models are tried out
    one, passes_of_one = draw()
    monkeypatch.setattr(lockstep, "stacked", lambda *_: None)
    two, passes_of_two = draw()
    handle.remove()
    assert len(passes_of_one) * 2 == len(passes_of_two)
    assert passes_of_one == [2 * rows for rows in passes_of_two[::2]]
    assert len(set(passes_of_one[1:])) > 2  # rows leave
    assert one.ended_mask.any()
    check_same(one, two)


def test_rows_that_join_stand_with_their_own_model(
    pair: tuple[LanguageModel, LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of both models are one batch, and so are those of both that join it."""
    draw = torch.Generator().manual_seed(0)
    batches = []
    for columns in (5, 7, 9, 11):  # on a CPU rows join where they stand as in their own batch
        ids = torch.randint(5, 600, (4, columns), generator=draw)
        batches.append(PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool), 4 * columns + torch.arange(4), ()))
    joined: list[int] = []
    join = lockstep.InOnePass.join

    def counted(mine: lockstep.InOnePass, other: lockstep.Lockstep) -> None:
        joined.append(len(other.sessions()))
        join(mine, other)

    monkeypatch.setattr(lockstep.InOnePass, "join", counted)
    options = {"samples": 1, "seed": 3}
    one = GeometricSampler(max_new_tokens=24).draw_all(batches, *pair, **options)
    assert joined
    monkeypatch.setattr(lockstep, "stacked", lambda *_: None)
    two = [GeometricSampler(max_new_tokens=24).draw(batch, *pair, **options) for batch in batches]
    for mine, theirs in zip(one, two, strict=True):
        check_same(mine, theirs)
