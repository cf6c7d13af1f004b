"""Samples, sampled tokens and trained tokens mean the same in every method."""

import pytest
from recorder import Recorder

from qstar_pl import methods
from qstar_pl.methods.strategies.keep import KeepBest
from qstar_pl.types import RolloutReport

ROLLOUT = ("QStar", "UniformAlpha", "EntropyAlphaRL", "OffPolicy", "PPO", "RejectionSampling", "SFTOnSamples")


def first(fit, data, module):
    recorder = Recorder()
    fit(module, data, callbacks=[recorder], max_steps=1)
    return recorder.batches[0], recorder.reports[0]


@pytest.mark.parametrize("name", ROLLOUT)
def test_methods_that_sample(fit, small_data, rollout_options, name):
    extra = {"keep": KeepBest()} if name == "RejectionSampling" else {}
    epochs = 3 if name == "PPO" else 1
    extra |= {"epochs": 3} if name == "PPO" else {}
    batch, report = first(fit, small_data(), getattr(methods, name)(**rollout_options, **extra))
    assert isinstance(report, RolloutReport)
    mask = report.weighted.scored.rollout.completion_mask
    learnt = mask & (report.weighted.weights != 0)
    assert report.samples == len(batch) * rollout_options["samples_per_prompt"]
    assert report.generated == int(mask.sum())
    assert report.tokens == epochs * int(learnt.sum())
    assert (report.tokens < report.generated) == (name == "RejectionSampling")


@pytest.mark.parametrize("name", ["DPO", "LEDPO"])
def test_methods_that_compare(fit, small_data, policy_options, name):
    batch, report = first(fit, small_data(), getattr(methods, name)(**policy_options))
    tokens = int(batch.chosen_mask.sum() + batch.rejected_mask.sum())
    assert (report.samples, report.tokens, report.generated) == (len(batch), tokens, 0)


def test_sft(fit, small_data, policy_options):
    batch, report = first(fit, small_data(), methods.SFT(**policy_options))
    assert (report.samples, report.tokens, report.generated) == (len(batch), int(batch.completion_mask.sum()), 0)


def test_reward_modeling(fit, small_data, policy_options):
    batch, report = first(fit, small_data(), methods.RewardModeling(model=policy_options["policy"]))
    tokens = int(batch.chosen_mask.sum() + batch.rejected_mask.sum())
    assert (report.samples, report.tokens, report.generated) == (len(batch), tokens, 0)
