import dataclasses
from pathlib import Path

import pytest
import torch
from recorder import Recorder
from small_run import SMALL

from qstar_pl.errors import UserError
from qstar_pl.experiments.curve import curve
from qstar_pl.methods import QStar
from qstar_pl.methods.q_star import policy_gradient
from qstar_pl.qstar import EntropyAlpha, FixedAlpha, KLSymmetricAlpha
from qstar_pl.qstar.advantages import GAE, LeaveOneOut, RawReward
from qstar_pl.qstar.losses import policy_gradient_loss
from qstar_pl.qstar.weights import RawWeights, SelfNormalisedWeights
from qstar_pl.run_folders.metrics import read_metrics
from qstar_pl.samplers import CandidateSetSampler, GeometricSampler


def trained_weights(module):
    return torch.cat([p.detach().flatten() for p in module.policy.parameters()])


def test_a_step_reports_what_the_diagnostics_need(fit, small_data, rollout_options):
    reports = Recorder()
    module = QStar(**rollout_options)
    fit(module, small_data(), callbacks=[reports], max_steps=2)
    report = reports.reports[0]
    rollout = report.weighted.scored.rollout
    mask = rollout.completion_mask
    assert report.samples == len(rollout) == 24
    assert report.tokens == int(mask.sum())
    assert len(report.completions) == 24
    torch.testing.assert_close(
        report.weighted.log_weights, rollout.policy_logprobs - rollout.behavior_logprobs, rtol=0, atol=0
    )
    # log w = (1−α) ℓ + log Z, per token, whatever α is.
    expected = (1 - rollout.alpha) * (rollout.policy_logprobs - rollout.target_logprobs) + rollout.log_z
    torch.testing.assert_close(report.weighted.log_weights[mask], expected[mask], atol=1e-4, rtol=0)
    assert not any(t.requires_grad for t in (report.loss, report.weighted.weights, report.reference_logprobs))
    # π_init is π_θ at the first step, so its log-probabilities are the policy's own.
    torch.testing.assert_close(report.reference_logprobs[mask], rollout.policy_logprobs[mask], atol=1e-5, rtol=0)


def test_the_training_forward_gives_the_log_probabilities_that_the_sampler_reported(fit, small_data, rollout_options):
    module = QStar(**rollout_options)
    reports = Recorder()
    fit(module, small_data(), callbacks=[reports], max_steps=1)
    fresh = QStar(**rollout_options)
    fresh.configure_model()
    weighted = reports.reports[0].weighted
    rollout = weighted.scored.rollout
    unweighted = dataclasses.replace(weighted, weights=torch.ones_like(weighted.weights))
    recomputed = policy_gradient(fresh, unweighted, reports.reports[0].reference_logprobs).loss
    expected = policy_gradient_loss(
        rollout.policy_logprobs, torch.ones(()), weighted.advantages, rollout.completion_mask
    ).mean()
    torch.testing.assert_close(recomputed, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("treatment", [RawWeights(), SelfNormalisedWeights(), RawWeights(level="token")])
def test_eight_prompts_at_once_train_as_one_prompt_eight_times(fit, small_data, rollout_options, treatment):
    results = []
    for batch_size, accumulate in ((8, 1), (1, 8)):
        module = QStar(**rollout_options, weights=treatment)
        fit(module, small_data(batch_size=batch_size), max_steps=1, accumulate_grad_batches=accumulate)
        results.append(trained_weights(module))
    start = QStar(**rollout_options)
    start.configure_model()
    moved = (results[0] - trained_weights(start)).norm()
    assert moved > 1e-3
    assert (results[0] - results[1]).norm() < 1e-4 * moved


def test_fifty_extra_pads_change_nothing(fit, small_data, rollout_options):
    reports = Recorder()
    module = QStar(**rollout_options)
    fit(module, small_data(), callbacks=[reports], max_steps=1)
    weighted = reports.reports[0].weighted
    rollout = weighted.scored.rollout

    def pad_right(value):
        is_time = (
            isinstance(value, torch.Tensor) and value.ndim == 2 and value.shape[1] == rollout.completion_ids.shape[1]
        )
        return torch.cat([value, value.new_zeros(len(value), 50)], 1) if is_time else value

    def padded(thing):
        changed = {f.name: pad_right(getattr(thing, f.name)) for f in dataclasses.fields(thing)}
        return dataclasses.replace(thing, **changed)

    prompts = dataclasses.replace(
        rollout.prompts,
        prompt_ids=torch.cat([rollout.prompts.prompt_ids.new_full((8, 50), 3), rollout.prompts.prompt_ids], 1),
        prompt_mask=torch.cat([torch.zeros(8, 50, dtype=torch.bool), rollout.prompts.prompt_mask], 1),
    )
    longer = dataclasses.replace(padded(rollout), prompts=prompts)
    scored = dataclasses.replace(weighted.scored, rollout=longer)
    reference = reports.reports[0].reference_logprobs
    again = module.weigh(scored, pad_right(reference))
    torch.testing.assert_close(again.weights[:, :-50], weighted.weights)
    torch.testing.assert_close(again.advantages[:, :-50], weighted.advantages)
    longer_loss = policy_gradient(module, again, pad_right(reference)).loss
    torch.testing.assert_close(longer_loss, policy_gradient(module, weighted, reference).loss, atol=1e-5, rtol=1e-5)


def test_alpha_one_is_on_policy_with_weights_of_one(fit, small_data, rollout_options):
    reports = Recorder()
    rollout_options["sampler"] = GeometricSampler(alpha=FixedAlpha(1.0), max_new_tokens=8)
    fit(QStar(**rollout_options, weights=RawWeights()), small_data(), callbacks=[reports], max_steps=1)
    weighted = reports.reports[0].weighted
    assert (weighted.log_weights == 0).all()
    assert torch.equal(weighted.weights, weighted.scored.rollout.completion_mask.float())


def test_the_same_seed_gives_the_same_run_and_another_seed_another(fit, small_data, rollout_options, monkeypatch):
    runs = []
    for seed in ("0", "0", "1"):
        module = QStar(**rollout_options)
        monkeypatch.setattr("qstar_pl.methods.bases.rlhf_module.run_seed", lambda seed=seed: int(seed))
        fit(module, small_data(), max_steps=2)
        runs.append(trained_weights(module))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_resuming_continues_the_uninterrupted_run(fit, small_data, rollout_options, tmp_path):
    whole = QStar(**rollout_options)
    fit(whole, small_data(), max_steps=4)
    first = QStar(**rollout_options)
    trainer = fit(first, small_data(), max_steps=2)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    second = QStar(**rollout_options)
    fit(second, small_data(), ckpt_path=str(tmp_path / "two.ckpt"), max_steps=4)
    assert torch.equal(trained_weights(second), trained_weights(whole))


def test_different_exponents_give_different_answers(fit, small_data, rollout_options):
    drawn = []
    for alpha in (KLSymmetricAlpha(), EntropyAlpha(), FixedAlpha(0.0)):
        reports = Recorder()
        rollout_options["sampler"] = GeometricSampler(alpha=alpha, max_new_tokens=8)
        fit(QStar(**rollout_options), small_data(), callbacks=[reports], max_steps=1)
        drawn.append(reports.reports[0].weighted.scored.rollout.alpha)
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])


def test_bad_options_are_named(rollout_options):
    with pytest.raises(UserError, match="samples_per_prompt must be at least 2 for LeaveOneOut, got 1"):
        QStar(**{**rollout_options, "samples_per_prompt": 1, "advantage": LeaveOneOut()})
    with pytest.raises(UserError, match="kl_coefficient must be at least 0, got -1"):
        QStar(**rollout_options, kl_coefficient=-1)
    one_set = CandidateSetSampler(answers_per_set=3)
    with pytest.raises(UserError, match=r"sampler\.answers_per_set must be below samples_per_prompt for LeaveOneOut"):
        QStar(**{**rollout_options, "sampler": one_set})
    QStar(**{**rollout_options, "sampler": one_set, "advantage": RawReward()})
    with pytest.raises(UserError, match="must not need a critic for QStar"):
        QStar(**rollout_options, advantage=GAE())
    with pytest.raises(UserError, match="reward must be given for QStar"):
        QStar(**{**rollout_options, "reward": None})


def test_the_place_of_the_price_is_an_option_of_the_command_line(qstar):
    options = ["--model.kl_placement=InLoss", "--model.kl_placement.level=token", "--model.sampler.max_new_tokens=4"]
    small = [*SMALL, "--trainer.max_steps=1", "--trainer.limit_val_batches=0"]
    code, _, err = qstar("fit", *small, *options, "--model.kl_estimator=K3")
    assert code == 0, err
    assert list(curve(read_metrics(next(Path("runs").glob("**/metrics.csv"))), "loss/kl"))
    code, _, err = qstar("fit", *small, *options)
    assert code != 0
    assert "kl_estimator must be K2 or K3 for InLoss" in err
    assert "Traceback" not in err
