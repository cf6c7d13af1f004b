"""What `validate` samples from when it is told."""

import pytest
import torch
from lightning.pytorch import Trainer

from qstar_pl.errors import UserError
from qstar_pl.methods import DPO, SFT, QStar, RejectionSampling
from qstar_pl.qstar import FixedAlpha
from qstar_pl.samplers import CandidateSetSampler, GeometricSampler, PolicySampler, TargetSampler
from qstar_pl.types import PromptBatch


def prompts_of(module, data) -> PromptBatch:
    """Build the module and return a batch of validation prompts."""
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.validate(module, data, verbose=False)
    return next(iter(data.val_dataloader()[0]))


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_a_mixture_is_drawn_with_the_target(rollout_options, small_data, alpha):
    """The drawn law is π_θ^α π_t^(1−α)/Z of the method's own π_t, not of π_init."""
    sampler = GeometricSampler(alpha=FixedAlpha(alpha), max_new_tokens=8)
    module = QStar(**{**rollout_options, "evaluation_sampler": sampler})
    rollout = module.draw_for_evaluation(prompts_of(module, small_data()))
    asked = (rollout.prompts, rollout.prompt_index, rollout.completion_ids, rollout.completion_mask)
    policy, target = (m.completion_logits(*asked).log_softmax(-1) for m in (module.policy_tokens, module.target))
    law = (alpha * policy + (1 - alpha) * target).log_softmax(-1)
    drawn = law.gather(-1, rollout.completion_ids.unsqueeze(-1)).squeeze(-1)
    mask = rollout.completion_mask
    torch.testing.assert_close(rollout.behavior_logprobs[mask], drawn[mask], rtol=1e-4, atol=1e-4)


def test_the_target_alone_is_the_target(rollout_options, small_data):
    module = RejectionSampling(**{**rollout_options, "evaluation_sampler": TargetSampler(max_new_tokens=8)})
    rollout = module.draw_for_evaluation(prompts_of(module, small_data()))
    wanted = TargetSampler(max_new_tokens=8).draw(
        rollout.prompts, module.policy_tokens, module.target, samples=1, seed=module.sampling_seed
    )
    assert torch.equal(rollout.completion_ids, wanted.completion_ids)
    on_policy = PolicySampler(max_new_tokens=8).draw(
        rollout.prompts, module.policy_tokens, module.target, samples=1, seed=module.sampling_seed
    )
    assert not torch.equal(rollout.completion_ids, on_policy.completion_ids)


@pytest.mark.parametrize(
    "sampler",
    [
        TargetSampler(max_new_tokens=8),
        PolicySampler(max_new_tokens=8),
        PolicySampler(max_new_tokens=8, temperature=0.6),
        PolicySampler(max_new_tokens=8, top_k=3),
        PolicySampler(max_new_tokens=8, top_p=0.5),
    ],
    ids=["target", "policy", "temperature", "top_k", "top_p"],
)
def test_the_divergence_from_the_start_is_of_both_policies_whatever_is_sampled(rollout_options, small_data, sampler):
    """Σ_t D(π_θ‖π_init) along the answers of q, by hand; 0 while π_θ is π_init, also under a far π_t."""
    module = QStar(**{**rollout_options, "evaluation_sampler": sampler})
    data = small_data(eval_batch_size=3)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    assert trainer.validate(module, data, verbose=False)[0]["val/kl_policy_reference"] == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        for parameter in module.policy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    measured = trainer.validate(module, data, verbose=False)[0]["val/kl_policy_reference"]
    sums = []
    for batch in data.val_dataloader()[0]:
        rollout = module.draw_for_evaluation(batch)
        asked = (rollout.prompts, rollout.prompt_index, rollout.completion_ids, rollout.completion_mask)
        with torch.no_grad():
            p, r = (
                m.completion_logits(*asked).log_softmax(-1).double()
                for m in (module.policy_tokens, module.reference_tokens)
            )
        kl = (p.exp() * (p - r)).sum(-1)
        sums += torch.where(rollout.completion_mask, kl, 0.0).sum(-1).tolist()
    assert measured == pytest.approx(sum(sums) / len(sums), rel=1e-4)
    assert measured > 0.001


@pytest.mark.parametrize("method", [SFT, DPO])
@pytest.mark.parametrize("sampler", [GeometricSampler(), TargetSampler(), CandidateSetSampler()])
def test_where_there_is_no_target_only_the_policy_can_be_sampled(method, sampler):
    with pytest.raises(UserError) as raised:
        method(evaluation_sampler=sampler)
    wanted = f"evaluation_sampler must be PolicySampler for {method.__name__}, which has no π_t, got "
    assert str(raised.value) == wanted + type(sampler).__name__
