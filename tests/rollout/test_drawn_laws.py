"""The law that was drawn from, instead of a second reading of the answers."""

import pytest
import torch
from reference.tiny_models import prompt_batch, random_model

from qstar_pl.models import LanguageModel
from qstar_pl.rollout import POLICY, TARGET, Alone, Truncation, absent, decode, drawn_laws
from qstar_pl.rollout.drawn_laws import keeping_laws
from qstar_pl.rollout.trace import COLUMNS


class Counted(LanguageModel):
    """A model that counts how often it reads finished answers."""

    readings = 0

    def completion_logits(self, *args):
        self.readings += 1
        return super().completion_logits(*args)


@pytest.mark.parametrize("role", [POLICY, TARGET])
@pytest.mark.parametrize("truncation", [Truncation(), Truncation(0.8, 5)], ids=["full", "cut"])
def test_the_model_that_drew_does_not_read_again(role, truncation, monkeypatch) -> None:
    models = {POLICY: Counted(random_model(scale=0.3)), TARGET: Counted(random_model("llama", seed=1, scale=0.3))}
    prompts = prompt_batch([[3, 4, 5], [6], [7, 8]])

    def draw():
        for model in models.values():
            model.readings = 0
        options = {"samples": 3, "seed": 1, "max_new_tokens": 12, "truncation": truncation}
        rollout = decode(prompts, models[POLICY], models[TARGET], Alone(role), **options)
        return rollout, models[role].readings

    plain, again = draw()
    with keeping_laws():
        kept, none = draw()
        monkeypatch.setattr(drawn_laws, "MAX_ELEMENTS", 10)
        _, too_many = draw()
    assert (again, none, too_many) == (1, 0, 1)
    assert plain.ended_mask.any()
    assert not plain.ended_mask.all()
    assert torch.equal(kept.completion_ids, plain.completion_ids)
    exact = {"behavior_logprobs", "policy_logprobs", "target_logprobs", "alpha", "log_z"}
    for name in COLUMNS:
        one, other = getattr(kept, name), getattr(plain, name)
        assert torch.equal(one, other) if name in exact else torch.allclose(one, other, rtol=1e-6, atol=1e-9), name
    assert absent.MAX_ELEMENTS > 10
