import pytest
import torch

from qstar_pl.errors import UserError
from qstar_pl.methods import QStar
from qstar_pl.models import Pretrained
from qstar_pl.qstar.advantages import RawReward
from qstar_pl.samplers import CandidateSetSampler, GeometricSampler, TargetSampler
from qstar_pl.targets import CandidateTarget
from qstar_pl.types import ScoredRollout


@pytest.fixture
def module(rollout_options):
    module = QStar(**rollout_options, kl_coefficient=0.5, missing_eos_penalty=2.0, advantage=RawReward())
    module.configure_model()
    return module


@pytest.fixture
def rollout(module, small_data):
    data = small_data(tokenizer="tiny")
    data.setup("validate")
    prompts = next(iter(data.val_dataloader()[0]))
    return module.sampler.draw(prompts, module.policy_tokens, module.target, samples=3, seed=5)


def test_rewards_of_tokens_add_up_to_the_shaped_reward_of_the_answer(module, rollout):
    reference = rollout.policy_logprobs - 0.1 * rollout.completion_mask
    rewards = torch.arange(len(rollout)).float()
    shaped = module.shaped_rewards(ScoredRollout(rollout, rewards, {}), reference)
    tokens = rollout.completion_mask.sum(-1)
    expected = rewards - 0.5 * 0.1 * tokens - 2.0 * (~rollout.ended_mask).float()
    torch.testing.assert_close(shaped.sum(-1), expected, atol=1e-4, rtol=1e-5)
    assert (shaped[~rollout.completion_mask] == 0).all()
    # The answer's reward sits on its last token, not on a pad.
    last = tokens - 1
    torch.testing.assert_close(
        shaped.gather(1, last.unsqueeze(1)).squeeze(1), expected + 0.05 * (tokens - 1), atol=1e-4, rtol=1e-5
    )


def test_all_answers_of_a_prompt_stand_together_and_decode(module, rollout):
    assert rollout.prompt_index.tolist() == [i for i in range(len(rollout.prompts)) for _ in range(3)]
    texts = module.decode(rollout)
    assert len(texts) == len(rollout)
    assert not any("<|" in text for text in texts)


@pytest.mark.parametrize("option", ["target", "sampler", "weights", "advantage", "kl_estimator", "kl_placement"])
def test_a_strategy_that_is_none_is_named(option):
    with pytest.raises(UserError, match=f"^{option} must be given for QStar, got None$"):
        QStar(**{option: None})


@pytest.mark.parametrize("options", [{"sampler": GeometricSampler()}, {"evaluation_sampler": TargetSampler()}])
def test_a_token_sampler_with_a_candidate_target_is_refused_before_anything_is_loaded(options, monkeypatch):
    monkeypatch.setattr(Pretrained, "load", lambda *_: pytest.fail("a model was loaded"))
    monkeypatch.setattr(Pretrained, "load_reward", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(UserError) as raised:
        QStar(**{"sampler": CandidateSetSampler(), **options}, target=CandidateTarget())
    assert str(raised.value) == (
        "sampler must be a CandidateSetSampler whose proposal is the policy for CandidateTarget, a target that knows "
        f"no next tokens, got {type(next(iter(options.values()))).__name__}"
    )
