"""Two models that share their weights are decoded in one pass per token, with the same rollout."""

from typing import Any

import pytest
import torch
from reference.tiny_methods import ending_model

from qstar_pl.models import LanguageModel, LoRA
from qstar_pl.models.adapters_off import without_adapters
from qstar_pl.rollout import lockstep
from qstar_pl.samplers import GeometricSampler
from qstar_pl.types import PromptBatch

pytest.importorskip("peft", reason="peft is part of the extra lora")


def test_one_pass_gives_the_rollout_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ragged prompts and answers: rows leave the batch while it is decoded. Both ways take 4 rows at least, of which a
    thread makes the same numbers in a batch of any size; batches below that differ by rounding."""
    model = LoRA(ending_model(1), rank=2).load()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    tokenizer = ending_model(1).tokenizer()
    policy, target = LanguageModel(model, tokenizer), LanguageModel(without_adapters(model), tokenizer)
    mask = torch.tensor([[False, True, True, True], [True] * 4, [False, False, True, True]])
    prompts = PromptBatch(torch.randint(5, 600, (3, 4)), mask, torch.arange(3), ())
    passes: list[int] = []
    handle = model.lm_head.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0])))

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
    assert torch.equal(one.completion_ids, two.completion_ids)
    for column in ("behavior_logprobs", "policy_logprobs", "target_logprobs", "log_z", "ess", "kl_policy"):
        if hasattr(one, column):
            torch.testing.assert_close(getattr(one, column), getattr(two, column), atol=1e-5, rtol=1e-5)
    assert (one.policy_logprobs - one.target_logprobs).abs().max() > 0.1
