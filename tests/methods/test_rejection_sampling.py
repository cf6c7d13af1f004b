import pytest
import torch
from recorder import Recorder

from qstar_pl.methods import RejectionSampling
from qstar_pl.methods.strategies.keep import AcceptReject, KeepAll, KeepBest
from qstar_pl.samplers import PolicySampler


@pytest.fixture
def options(rollout_options):
    return {**rollout_options, "sampler": PolicySampler(max_new_tokens=8), "samples_per_prompt": 4}


def weights_of(module):
    return torch.cat([p.detach().flatten() for p in module.policy.parameters()])


def kept_answers(report):
    return (report.weighted.weights > 0).any(-1)


@pytest.mark.parametrize("keep", [AcceptReject(), AcceptReject(log_bound=0.5), KeepBest(), KeepAll()])
def test_loss_is_the_mean_over_prompts_of_the_kept_answers_likelihood(fit, small_data, options, keep):
    recorder = Recorder()
    options["optimizer"] = lambda p: torch.optim.SGD(p, lr=0.0)
    fit(RejectionSampling(**options, keep=keep), small_data(), callbacks=[recorder], max_steps=1)
    report = recorder.reports[0]
    rollout, kept = report.weighted.scored.rollout, kept_answers(report)
    nats = -rollout.policy_logprobs.sum(-1)
    per_prompt = []
    for prompt in range(8):
        mine = [float(nats[row]) for row in range(len(rollout)) if rollout.prompt_index[row] == prompt and kept[row]]
        per_prompt.append(sum(mine) / len(mine) if mine else 0.0)
    assert float(report.loss) == pytest.approx(sum(per_prompt) / 8, rel=1e-4)
    assert float(report.terms["acceptance"]) == pytest.approx(float(kept.float().mean()))
    assert report.samples == 32
    assert report.generated == int(rollout.completion_mask.sum())
    assert report.tokens == int(rollout.completion_mask[kept].sum())


def test_the_best_answer_by_reward_is_kept(fit, small_data, options):
    recorder = Recorder()
    fit(RejectionSampling(**options, keep=KeepBest()), small_data(), callbacks=[recorder], max_steps=1)
    scored = recorder.reports[0].weighted.scored
    assert torch.equal(
        kept_answers(recorder.reports[0]).view(8, 4).int().argmax(-1), scored.rewards.view(8, 4).argmax(-1)
    )
    assert float(recorder.reports[0].terms["acceptance"]) == 0.25


def test_a_step_that_keeps_nothing_has_no_loss_and_no_gradient(fit, small_data, options):
    class Gradients(Recorder):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            self.gradients = [p.grad.clone() for p in pl_module.policy.parameters()]

    recorder = Gradients()
    module = RejectionSampling(**options, keep=AcceptReject(log_bound=1e4))
    fit(module, small_data(), callbacks=[recorder], max_steps=1)
    assert float(recorder.reports[0].loss) == 0.0
    assert recorder.reports[0].tokens == 0
    assert float(recorder.reports[0].terms["prompts_kept"]) == 0.0
    assert len(recorder.gradients) == len(list(module.policy.parameters()))
    assert all((gradient == 0).all() for gradient in recorder.gradients)


@pytest.mark.parametrize("keep", [AcceptReject(), AcceptReject(log_bound=0.5), KeepBest()])
def test_eight_prompts_at_once_train_as_one_prompt_eight_times(fit, small_data, options, keep):
    results = []
    for batch_size, accumulate in ((8, 1), (1, 8)):
        module = RejectionSampling(**options, keep=keep)
        fit(module, small_data(batch_size=batch_size), max_steps=1, accumulate_grad_batches=accumulate)
        results.append(weights_of(module))
    start = RejectionSampling(**options)
    start.configure_model()
    moved = (results[0] - weights_of(start)).norm()
    assert moved > 1e-3
    assert (results[0] - results[1]).norm() < 1e-4 * moved


def test_imitating_the_best_raises_the_reward(fit, small_data, options):
    options["optimizer"] = lambda p: torch.optim.AdamW(p, lr=1e-2)
    recorder = Recorder()
    fit(RejectionSampling(**options, keep=KeepBest()), small_data(), callbacks=[recorder], max_steps=25)
    rewards = [float(report.weighted.scored.rewards.mean()) for report in recorder.reports]
    assert sum(rewards[-5:]) > 1.05 * sum(rewards[:5])


def test_options_that_have_no_meaning_here_do_not_exist(options):
    for name in ("kl_coefficient", "weights", "advantage", "missing_eos_penalty"):
        with pytest.raises(TypeError, match=name):
            RejectionSampling(**options, **{name: 0.1})
