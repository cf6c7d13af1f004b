import dataclasses

import pytest
import torch
from recorder import Recorder

from qstar_pl.methods import SFTOnSamples
from qstar_pl.samplers import TargetSampler
from qstar_pl.targets import Expert


def test_all_answers_are_the_targets_and_all_count_alike(fit, small_data, rollout_options):
    recorder = Recorder()
    rollout_options["sampler"] = TargetSampler(max_new_tokens=8)
    rollout_options["optimizer"] = lambda p: torch.optim.SGD(p, lr=0.0)
    fit(SFTOnSamples(**rollout_options), small_data(), callbacks=[recorder], max_steps=1)
    report = recorder.reports[0]
    rollout = report.weighted.scored.rollout
    assert torch.equal(rollout.behavior_logprobs, rollout.target_logprobs)
    assert float(report.loss) == pytest.approx(float(-rollout.policy_logprobs.sum(-1).mean()), rel=1e-5)
    assert torch.equal(report.weighted.weights, rollout.completion_mask.float())
    # Ignored by the loss, the raw weights are still there for the diagnostics.
    assert (report.weighted.log_weights[rollout.completion_mask] != 0).any()
    assert (report.samples, report.tokens) == (24, report.generated)


def test_it_distils_the_target(fit, small_data, rollout_options):
    recorder = Recorder()
    # Larger weights make the target anything but uniform, and so something that can be learnt.
    model = rollout_options["target"].model
    sharp = dataclasses.replace(model, overrides={**model.overrides, "initializer_range": 0.3})
    rollout_options["target"] = Expert(sharp)
    rollout_options["sampler"] = TargetSampler(max_new_tokens=8)
    rollout_options["optimizer"] = lambda p: torch.optim.AdamW(p, lr=1e-2)
    fit(SFTOnSamples(**rollout_options), small_data(), callbacks=[recorder], max_steps=25)

    def divergence(report):
        rollout = report.weighted.scored.rollout
        return float(rollout.kl_behavior_policy[rollout.completion_mask].mean())

    assert sum(map(divergence, recorder.reports[-3:])) < 0.9 * sum(map(divergence, recorder.reports[:3]))


def test_its_sampler_is_the_target_unless_said_otherwise():
    assert isinstance(SFTOnSamples().sampler, TargetSampler)
