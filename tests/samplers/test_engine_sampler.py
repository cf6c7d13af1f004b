"""Tokens from an engine: its law, its weights, and what the trainer makes of them."""

from collections import Counter
from dataclasses import dataclass, replace

import pytest
import torch
from reference import enumeration as exact
from reference.tiny_models import prompt_batch, random_model

from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.methods import PPO, QStar
from qstar_pl.models import LanguageModel
from qstar_pl.models.next_token import NextToken
from qstar_pl.qstar import KLSymmetricAlpha
from qstar_pl.rollout import POLICY, TARGET, Alone, Geometric, Law
from qstar_pl.rollout.pace import Pace
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.samplers import EngineSampler, GeometricSampler, PolicySampler
from qstar_pl.samplers.engines import Generated, Job, LocalEngine
from qstar_pl.samplers.engines.engine import Weights
from qstar_pl.samplers.engines.local import LocalCopy

PROMPTS = [[3, 4, 5], [6], [7, 8]]
LAWS = {"policy": Alone(POLICY), "q_star": Geometric(KLSymmetricAlpha())}
PLAIN = {"policy": PolicySampler, "q_star": GeometricSampler}
Pair = tuple[LanguageModel, LanguageModel]


@pytest.fixture
def pair() -> Pair:
    return (
        LanguageModel(random_model(scale=0.3).float()),
        LanguageModel(random_model("llama", seed=1, scale=0.3).float()),
    )


@pytest.mark.parametrize("options", [{}, {"temperature": 0.7, "top_k": 7, "top_p": 0.9}], ids=["whole", "truncated"])
@pytest.mark.parametrize("name", LAWS)
def test_in_the_policys_precision_everything_is_as_without_an_engine(pair: Pair, name: str, options) -> None:
    prompts = prompt_batch(PROMPTS, pads=2)
    sampler = EngineSampler(law=LAWS[name], max_new_tokens=12, **options)
    assert sampler.needs_target == (name == "q_star")
    expected = PLAIN[name](max_new_tokens=12, **options).draw(prompts, *pair, samples=3, seed=4)
    found = sampler.draw(prompts, *pair, samples=3, seed=4)
    for column in ("completion_ids", "completion_mask", "ended_mask", "prompt_index"):
        assert torch.equal(getattr(found, column), getattr(expected, column)), column
    for column in COLUMNS:
        torch.testing.assert_close(getattr(found, column), getattr(expected, column), atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(found.recomputed_logprobs, found.behavior_logprobs, atol=2e-5, rtol=1e-4)
    assert found.to("cpu").info.engine.step == 0


def test_in_another_precision_log_q_is_that_of_the_engine(pair: Pair) -> None:
    """Answers of two tokens against the enumerated law of the rounded policy; the mismatch is small and real."""
    policy, target = pair
    sampler = EngineSampler(engine=LocalEngine(precision="bfloat16"), max_new_tokens=2)
    rollout = sampler.draw(prompt_batch([[3, 4, 2]]), policy, target, samples=3000, seed=0)
    texts = [
        tuple(ids[mask].tolist()) for ids, mask in zip(rollout.completion_ids, rollout.completion_mask, strict=True)
    ]
    gap = (rollout.behavior_logprobs - rollout.recomputed_logprobs)[rollout.completion_mask].abs()
    assert 1e-4 < float(gap.mean()) < 0.05
    torch.testing.assert_close(rollout.policy_logprobs, rollout.recomputed_logprobs)
    law = exact.enumerate_sequences(
        exact.predictor(policy.model, [3, 4, 2]), exact.predictor(target.model, [3, 4, 2]), exact.policy_only, 2, {1}
    )
    assert exact.g_test(dict(Counter(texts)), law) > 1e-6
    # E_q[π_θ/q] = 1 over whole answers: the weights correct for the engine's precision.
    weights = (rollout.policy_logprobs - rollout.behavior_logprobs).sum(-1).exp()
    assert abs(float(weights.mean()) - 1) < 4 * float(weights.std()) / 3000**0.5 + 1e-3


class KeepsOneWeight(LocalCopy):
    """Keeps one number of the first weights that it was given."""

    def push(self, weights: Weights, step: int) -> str:
        own = next(iter(self.policy.model.parameters()))
        old = own.detach()[0, 0].clone()
        super().push(weights, step)
        if step > 0:
            with torch.no_grad():
                own[0, 0] = old
        return self.fingerprint()


class Asleep(LocalCopy):
    """Takes no weights at all after the first."""

    def push(self, weights: Weights, step: int) -> str:
        return super().push(weights, step) if step == 0 else self.fingerprint()


class Broken(LocalCopy):
    def generate(self, job: Job) -> Generated:
        found = super().generate(job)
        return replace(found, logprobs=found.logprobs * torch.nan)


@dataclass(frozen=True)
class Of(LocalEngine):
    """Starts a copy that has a fault."""

    kind: type[LocalCopy] = LocalCopy

    def start(self, policy: LanguageModel, target: NextToken, law: Law, longest: int) -> LocalCopy:
        return self.kind(super().start(policy, target, law, longest).policy, target, law)


@pytest.mark.parametrize("kind", [KeepsOneWeight, Asleep])
def test_a_stale_weight_is_caught(pair: Pair, kind: type[LocalCopy]) -> None:
    sampler = EngineSampler(engine=Of(kind=kind), max_new_tokens=4)
    prompts = prompt_batch(PROMPTS)
    fingerprint = sampler.draw(prompts, *pair, samples=1, seed=0).info.engine.fingerprint
    with torch.no_grad():
        for parameter in pair[0].model.parameters():
            parameter.mul_(1.001)
    sampler.note_step(7)
    with pytest.raises(UserError) as raised:
        sampler.draw(prompts, *pair, samples=1, seed=1)
    message = str(raised.value)
    assert "engine must sample from the policy's weights of step 7 (float32:" in message
    assert f"from {kind.__name__} after they were pushed" in message
    assert (fingerprint in message) == (kind is Asleep)


def test_mistakes(pair: Pair) -> None:
    prompts = prompt_batch(PROMPTS)
    with pytest.raises(UserError, match="law must draw from the policy for EngineSampler"):
        EngineSampler(law=Alone(TARGET))
    sampler = EngineSampler(max_new_tokens=2)
    with pytest.raises(UserError, match="gathering must be gathered for EngineSampler, got streamed"):
        sampler.draw(prompts, *pair, samples=1, seed=0, pace=Pace(everyone=lambda flag: flag))
    with pytest.raises(NonFiniteError, match="engine must give finite log-probabilities"):
        EngineSampler(engine=Of(kind=Broken), max_new_tokens=2).draw(prompts, *pair, samples=1, seed=0)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_training_ends_where_it_does_without_an_engine(law: Law, fit, small_data, rollout_options) -> None:
    def trained(**options) -> tuple[torch.Tensor, object]:
        module = (PPO if law.roles == (POLICY,) else QStar)(**{**rollout_options, **options})
        fit(module, small_data(), max_steps=3)
        return torch.cat([one.detach().flatten() for one in module.policy.parameters()]), module.sampler

    plain, _ = trained(sampler=PLAIN["policy" if law.roles == (POLICY,) else "q_star"](max_new_tokens=8))
    found, sampler = trained(sampler=EngineSampler(law=law, max_new_tokens=8))
    torch.testing.assert_close(found, plain, atol=2e-5, rtol=1e-3)
    assert sampler._keeper[0].version is None  # let go of at the end


@dataclass(frozen=True)
class Missing(LocalEngine):
    """Needs what is not there."""

    def require(self) -> None:
        raise UserError("Missing needs nothing that exists")


def test_what_an_engine_lacks_is_said_before_anything_is_loaded(fit, small_data, rollout_options) -> None:
    lacking = EngineSampler(engine=Missing(), max_new_tokens=4)
    for option in ("sampler", "evaluation_sampler"):
        module = PPO(**{**rollout_options, option: lacking})
        with pytest.raises(UserError, match=r"^Missing needs nothing that exists$"):
            fit(module, small_data(), max_steps=1)
        assert not hasattr(module, "policy")
