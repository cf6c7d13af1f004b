"""The methods that differ from QStar in the default of one argument."""

import inspect

import pytest
import torch
from recorder import Recorder

from qstar_pl.methods import PPO, EntropyAlphaRL, OffPolicy, QStar, UniformAlpha
from qstar_pl.qstar import EntropyAlpha, FixedAlpha, KLSymmetricAlpha
from qstar_pl.qstar.kl_estimators import K2
from qstar_pl.qstar.kl_placement import InLoss
from qstar_pl.samplers import GeometricSampler, PolicySampler, TargetSampler


def defaults(method):
    found = {}
    for part in reversed(method.__mro__):
        if "__init__" in vars(part):
            found |= {
                name: parameter.default
                for name, parameter in inspect.signature(part.__init__).parameters.items()
                if parameter.default is not inspect.Parameter.empty
            }
    return found


@pytest.mark.parametrize(
    ("method", "sampler"),
    [
        (OffPolicy, TargetSampler()),
        (UniformAlpha, GeometricSampler(alpha=FixedAlpha(0.5))),
        (EntropyAlphaRL, GeometricSampler(alpha=EntropyAlpha())),
        (QStar, GeometricSampler(alpha=KLSymmetricAlpha())),
    ],
)
def test_the_sampler_alone_differs(method, sampler):
    mine, others = defaults(method), defaults(QStar)
    assert mine.pop("sampler") == sampler
    others.pop("sampler")
    assert mine == others
    assert {name for name in vars(method) if not name.startswith("_")} == {"training_step"}


def rollout_of(fit, small_data, method, options, sampler):
    recorder = Recorder()
    fit(method(**{**options, "sampler": sampler}), small_data(), callbacks=[recorder], max_steps=1)
    return recorder.reports[0].weighted.scored.rollout


@pytest.mark.parametrize("method", [OffPolicy, UniformAlpha, EntropyAlphaRL])
def test_the_algorithm_is_that_of_q_star(fit, small_data, rollout_options, method):
    """With the same q, the same gradient to the last bit."""
    learnt = []
    for one in (method, QStar):
        module = one(**rollout_options, kl_placement=InLoss(), kl_estimator=K2())
        fit(module, small_data(), max_steps=2)
        learnt.append(list(module.policy.state_dict().values()))
    assert all(map(torch.equal, *learnt))


@pytest.mark.parametrize(("alpha", "method", "sampler"), [(1.0, PPO, PolicySampler), (0.0, OffPolicy, TargetSampler)])
def test_the_ends_of_the_mixture_are_on_policy_and_off_policy(fit, small_data, rollout_options, alpha, method, sampler):
    """Same uniforms, same tokens, and the same log q to the last bit."""
    mixture = GeometricSampler(alpha=FixedAlpha(alpha), max_new_tokens=8)
    mixed = rollout_of(fit, small_data, UniformAlpha, rollout_options, mixture)
    alone = rollout_of(fit, small_data, method, rollout_options, sampler(max_new_tokens=8))
    for name in ("completion_ids", "completion_mask", "behavior_logprobs", "alpha", "log_z"):
        assert torch.equal(getattr(mixed, name), getattr(alone, name)), name
    half = rollout_of(fit, small_data, UniformAlpha, rollout_options, GeometricSampler(max_new_tokens=8))
    assert not torch.equal(half.completion_ids, alone.completion_ids)


def test_every_method_takes_a_step_with_weights_of_its_own_sampler(fit, small_data, rollout_options):
    for method, sampler in (
        (OffPolicy, TargetSampler(max_new_tokens=8)),
        (UniformAlpha, GeometricSampler(alpha=FixedAlpha(0.5), max_new_tokens=8)),
        (EntropyAlphaRL, GeometricSampler(alpha=EntropyAlpha(), max_new_tokens=8)),
    ):
        recorder = Recorder()
        fit(method(**{**rollout_options, "sampler": sampler}), small_data(), callbacks=[recorder], max_steps=1)
        weighted = recorder.reports[0].weighted
        rollout, mask = weighted.scored.rollout, weighted.scored.rollout.completion_mask
        expected = (1 - rollout.alpha) * (rollout.policy_logprobs - rollout.target_logprobs) + rollout.log_z
        torch.testing.assert_close(weighted.log_weights[mask], expected[mask], atol=1e-4, rtol=0)
        of_answers = torch.where(mask, expected, 0.0).sum(-1).exp().clamp(0.1, 10).unsqueeze(-1)
        torch.testing.assert_close(weighted.weights, of_answers * mask, atol=1e-3, rtol=1e-3)
