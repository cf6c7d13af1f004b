import dataclasses

import pytest
import torch
from recorder import Recorder
from reference.gae import advantages as gae_by_definition
from reference.tiny_methods import ending_model

from qstar_pl.errors import UserError
from qstar_pl.methods import PPO
from qstar_pl.methods.strategies.kl_controller import AdaptiveKL
from qstar_pl.qstar.advantages import GAE, GroupNormalised, LeaveOneOut
from qstar_pl.qstar.kl_estimators import K2, K3
from qstar_pl.qstar.kl_placement import InLoss
from qstar_pl.qstar.weights import RawWeights
from qstar_pl.rewards import GoldReward
from qstar_pl.samplers import GeometricSampler, PolicySampler
from qstar_pl.training.minibatches import Experience


class ConstantReward(GoldReward):
    def score(self, rollout, completions):
        return torch.ones(len(rollout))


@pytest.fixture
def options(rollout_options):
    """On-policy, with gradients as they are; momentum so that the optimizer has a state."""
    return {
        **rollout_options,
        "sampler": PolicySampler(max_new_tokens=8),
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
        "gradient_clip": None,
    }


def with_critic(module, scale=0.3):
    """Give the critic values that differ from token to token; at first they are all 0."""
    module.configure_model()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        module.critic.linear.weight.normal_(0.0, scale, generator=generator)
        module.critic.linear.bias.fill_(0.2)
    return module


def trained_weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters() if p.requires_grad])


def record(fit, module, data, **fit_options):
    recorder = Recorder()
    fit(module, data, callbacks=[recorder], **fit_options)
    return recorder.reports


@pytest.mark.parametrize(("minibatches", "micro_batch_size"), [(1, None), (2, 5), (3, 1)])
def test_the_ratio_is_one_to_the_last_bit_in_the_first_minibatch(
    fit, small_data, options, minibatches, micro_batch_size
):
    module = PPO(**options, minibatches=minibatches, micro_batch_size=micro_batch_size)
    reports = record(fit, module, small_data(), max_steps=4 * minibatches)
    assert len(reports) == 2
    for report in reports:
        assert float(report.terms["ratio_first"]) == 0.0
        assert float(report.terms["ratio_deviation"]) > 1e-4


def test_all_is_what_definitions_say_of_one_unpadded_answer_at_a_time(fit, small_data, options):
    """Loss terms of a first step against loops over tokens, with a sampler that is not the policy."""
    options["sampler"] = GeometricSampler(max_new_tokens=8)
    options["optimizer"] = lambda parameters: torch.optim.SGD(parameters, lr=0.0)
    module = with_critic(
        PPO(
            **options,
            epochs=1,
            advantage=GAE(gamma=0.9, lam=0.8),
            weights=RawWeights(level="token"),
            kl_coefficient=0.7,
            kl_estimator=K3(),
            missing_eos_penalty=0.4,
            entropy_coefficient=0.01,
        )
    )
    with torch.no_grad():
        module.reference.transformer.wte.weight.mul_(1.5)  # so that there is a divergence to pay for
    (report,) = record(fit, module, small_data(), max_steps=1)
    rollout = report.weighted.scored.rollout

    all_advantages, all_returns, values, entropies, weights = [], [], [], [], []
    for row in range(len(rollout)):
        mask = rollout.completion_mask[row]
        prompt_row = rollout.prompt_index[row]
        prompt = rollout.prompts.prompt_ids[prompt_row][rollout.prompts.prompt_mask[prompt_row]]
        answer = rollout.completion_ids[row][mask]
        ids = torch.cat([prompt, answer]).unsqueeze(0)
        with torch.no_grad():
            output = module.policy(input_ids=ids, output_hidden_states=True)
            laws = output.logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            reference = module.reference(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            v = module.critic(output.hidden_states[-1][0, len(prompt) - 1 : -1])
        r = (laws - reference)[torch.arange(len(answer)), answer].double()
        rewards = (-0.7 * (torch.exp(-r) - 1 + r)).tolist()
        rewards[-1] += float(report.weighted.scored.rewards[row]) - 0.4 * (not bool(rollout.ended_mask[row]))
        a = gae_by_definition(rewards, v.tolist(), 0.9, 0.8)
        all_advantages += a
        all_returns += [x + float(y) for x, y in zip(a, v, strict=True)]
        values += v.tolist()
        entropies += (-(laws.exp() * laws).sum(-1)).tolist()
        weights += (laws[torch.arange(len(answer)), answer] - rollout.behavior_logprobs[row][mask]).exp().tolist()
    a = torch.tensor(all_advantages)
    white = (a - a.mean()) / a.std(correction=0)
    expected_policy = -(torch.tensor(weights) * white).mean()
    expected_value = 0.5 * (torch.tensor(values) - torch.tensor(all_returns)).square().mean()
    expected_entropy = torch.tensor(entropies).mean()
    assert float((torch.tensor(weights) - 1).abs().max()) > 1e-3
    torch.testing.assert_close(report.terms["policy"], expected_policy, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(report.terms["value"], expected_value, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(report.terms["entropy"], expected_entropy, atol=1e-4, rtol=1e-4)
    total = expected_policy + 0.5 * expected_value - 0.01 * expected_entropy
    torch.testing.assert_close(report.loss, total, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shift", [0.5, -0.8])
def test_the_approximate_divergence_is_that_of_the_old_policy_from_the_new(fit, small_data, options, shift):
    """k3 = ρ − 1 − log ρ of ρ = π_θ/π_old at tokens of π_old; with its sign turned it would be 1/ρ − 1 + log ρ."""
    module = PPO(**options)
    (report,) = record(fit, module, small_data(), max_steps=2)
    rollout = report.weighted.scored.rollout
    mask = rollout.completion_mask
    with torch.no_grad():
        logprobs, *_ = module.actor_critic.outputs(rollout.prompts, rollout.prompt_index, rollout.completion_ids, mask)
        varied = shift * torch.linspace(0.5, 1.5, mask.numel()).view_as(mask)
        experience = Experience.of(report.weighted, logprobs, logprobs - varied, torch.zeros_like(logprobs), logprobs)
        found = module.loss_of(rollout.prompts, experience, 1 / mask.sum()).terms["approximate_kl"]
    expected = (varied.exp() - 1 - varied)[mask].mean()
    assert float(found) == pytest.approx(float(expected), rel=1e-4)
    assert float((torch.exp(-varied) - 1 + varied)[mask].mean()) != pytest.approx(float(expected), rel=0.1)


@pytest.mark.parametrize("micro_batch_size", [None, 2])
def test_a_minibatch_is_a_mean_over_its_own_tokens(fit, small_data, options, monkeypatch, micro_batch_size):
    """Scale × tokens is 1 in every minibatch, so its gradient is as large as that of a whole rollout."""
    options["policy"] = ending_model(1)
    seen = []
    loss_of = PPO.loss_of

    def spy(self, prompts, rows, scale):
        seen.append((int(rows.completion_mask.sum()), float(scale)))
        return loss_of(self, prompts, rows, scale)

    monkeypatch.setattr(PPO, "loss_of", spy)
    options["optimizer"] = lambda parameters: torch.optim.SGD(parameters, lr=0.0)
    module = PPO(**options, epochs=1, minibatches=3, micro_batch_size=micro_batch_size)
    (report,) = record(fit, module, small_data(), max_steps=3)
    per_minibatch = len(seen) // 3
    minibatches = [seen[i * per_minibatch : (i + 1) * per_minibatch] for i in range(3)]
    tokens = [sum(count for count, _ in parts) for parts in minibatches]
    assert len(set(tokens)) > 1
    assert [parts[0][1] for parts in minibatches] == pytest.approx([1 / count for count in tokens])
    # So a mean over minibatches is near the mean over all tokens, and not a third of it.
    whole = PPO(**options, epochs=1)
    (of_all,) = record(fit, whole, small_data(), max_steps=1)
    assert float(report.terms["entropy"]) == pytest.approx(float(of_all.terms["entropy"]), rel=0.05)


@pytest.mark.parametrize("advantage", [GAE(), LeaveOneOut()])
@pytest.mark.parametrize("price", [{}, {"kl_placement": InLoss(), "kl_estimator": K2(), "kl_coefficient": 0.5}])
def test_micro_batches_change_nothing(fit, small_data, options, advantage, price):
    results, losses = [], []
    for size in (None, 8, 1):
        module = PPO(
            **options, **price, advantage=advantage, minibatches=2, micro_batch_size=size, entropy_coefficient=0.1
        )
        (report,) = record(fit, module, small_data(), max_steps=4)
        results.append(trained_weights(module))
        losses.append(report.loss)
    start = PPO(**options, advantage=advantage)
    start.configure_model()
    moved = (results[0] - trained_weights(start)).norm()
    assert moved > 1e-3
    for result, loss in zip(results[1:], losses[1:], strict=True):
        assert (results[0] - result).norm() < 1e-4 * moved
        torch.testing.assert_close(loss, losses[0], atol=1e-5, rtol=1e-5)


def test_fifty_extra_pads_change_nothing(fit, small_data, options):
    module = with_critic(PPO(**options, entropy_coefficient=0.1))
    (report,) = record(fit, module, small_data(), max_steps=2)
    weighted = report.weighted
    rollout = weighted.scored.rollout
    time = rollout.completion_ids.shape[1]

    def pad(value):
        is_time = isinstance(value, torch.Tensor) and value.ndim == 2 and value.shape[1] == time
        return torch.cat([value, value.new_full((len(value), 50), False)], 1) if is_time else value

    prompts = dataclasses.replace(
        rollout.prompts,
        prompt_ids=torch.cat([rollout.prompts.prompt_ids.new_full((8, 50), 3), rollout.prompts.prompt_ids], 1),
        prompt_mask=torch.cat([torch.zeros(8, 50, dtype=torch.bool), rollout.prompts.prompt_mask], 1),
    )
    changed = {f.name: pad(getattr(rollout, f.name)) for f in dataclasses.fields(rollout)}
    longer = dataclasses.replace(rollout, **{**changed, "prompts": prompts})
    rows = [torch.arange(len(rollout))]
    losses = []
    for one, reference in ((rollout, report.reference_logprobs), (longer, pad(report.reference_logprobs))):
        old_logprobs, old_values = module.actor_critic.old_outputs(one, rows)
        again = module.weigh(dataclasses.replace(weighted.scored, rollout=one), reference, old_values)
        experience = Experience.of(again, reference, old_logprobs, old_values, again.advantages + old_values)
        scale = 1 / one.completion_mask.sum()
        losses.append(module.loss_of(one.prompts, experience, scale))
    assert float(losses[0].terms["value"]) > 1e-3
    torch.testing.assert_close(losses[1].loss, losses[0].loss, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(losses[1].terms, losses[0].terms, atol=1e-5, rtol=1e-5)


def test_resuming_continues_the_uninterrupted_run(fit, small_data, options, tmp_path):
    options["kl_controller"] = AdaptiveKL(target=0.01, horizon=100)
    options["optimizer"] = lambda parameters: torch.optim.AdamW(parameters, lr=1e-2)
    options["lr_scheduler"] = lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    whole = PPO(**options, minibatches=2)
    fit(whole, small_data(), max_steps=12)
    trainer = fit(PPO(**options, minibatches=2), small_data(), max_steps=4)
    trainer.save_checkpoint(tmp_path / "four.ckpt")
    resumed = PPO(**options, minibatches=2)
    fit(resumed, small_data(), ckpt_path=str(tmp_path / "four.ckpt"), max_steps=12)
    assert torch.equal(trained_weights(resumed), trained_weights(whole))
    assert resumed.kl_coefficient == whole.kl_coefficient != options.get("kl_coefficient", 0.05)
    assert bool(whole.critic.linear.weight.any())


def test_checkpoints_hold_policy_critic_and_coefficient(fit, small_data, options, tmp_path):
    module = PPO(**options, kl_controller=AdaptiveKL(target=0.01, horizon=24))
    trainer = fit(module, small_data(), max_steps=4)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    checkpoint = torch.load(tmp_path / "one.ckpt", weights_only=True)
    names = {"critic.linear.weight", "critic.linear.bias", *(f"policy.{n}" for n in module.policy.state_dict())}
    assert set(checkpoint["state_dict"]) == names
    assert checkpoint["kl_coefficient"] == module.kl_coefficient
    module = PPO(**options, advantage=GroupNormalised())
    trainer = fit(module, small_data(), max_steps=2)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    state = torch.load(tmp_path / "two.ckpt", weights_only=True)["state_dict"]
    assert {name.split(".")[0] for name in state} == {"policy"}


def test_the_coefficient_follows_the_measured_divergence(fit, small_data, options):
    module = PPO(**options, kl_coefficient=0.3, kl_controller=AdaptiveKL(target=1e-4, horizon=240))
    reports = record(fit, module, small_data(), max_steps=6)
    expected = 0.3
    for report in reports:
        assert float(report.terms["kl_coefficient"]) == pytest.approx(expected)
        nats = report.weighted.scored.rollout.policy_logprobs - report.reference_logprobs
        kl = float((nats * report.weighted.scored.rollout.completion_mask).sum() / 24)
        expected *= 1 + min(max(kl / 1e-4 - 1, -0.2), 0.2) * 24 / 240
    assert module.kl_coefficient == pytest.approx(expected)
    assert expected != pytest.approx(0.3, rel=1e-3)
    # The next rollout pays the new price.
    last = reports[-1]
    shaped = module.shaped_rewards(last.weighted.scored, last.reference_logprobs)
    other = PPO(**options, kl_coefficient=module.kl_coefficient).shaped_rewards(
        last.weighted.scored, last.reference_logprobs
    )
    assert torch.equal(shaped, other)


def test_an_optimizer_step_is_a_step_of_schedule_and_trainer(fit, small_data, options):
    options["optimizer"] = lambda parameters: torch.optim.SGD(parameters, lr=1.0)
    options["lr_scheduler"] = lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    trainer = fit(PPO(**options, epochs=2, minibatches=3), small_data(), max_steps=5)
    assert trainer.global_step == 6
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.5**6)


def test_the_price_in_the_loss_holds_the_policy_back(fit, small_data, options):
    """Also where the advantages are whitened: the divergence falls as its price rises, and is logged per token."""
    options["optimizer"] = lambda parameters: torch.optim.AdamW(parameters, lr=3e-3)
    ends = {}
    for coefficient in (0.0, 10.0):
        module = PPO(**options, kl_placement=InLoss(), kl_estimator=K2(), kl_coefficient=coefficient)
        reports = record(fit, module, small_data(), max_steps=40)
        last = reports[-1]
        mask = last.weighted.scored.rollout.completion_mask
        ends[coefficient] = float((last.weighted.scored.rollout.policy_logprobs - last.reference_logprobs)[mask].mean())
        assert float(reports[0].terms["kl"]) < float(last.terms["kl"])
        assert torch.equal(
            module.shaped_rewards(last.weighted.scored, last.reference_logprobs).sum(-1), last.weighted.scored.rewards
        )
    assert ends[10.0] < 0.6 * ends[0.0]


def test_the_gradient_is_clipped_by_its_norm(fit, small_data, options):
    options.update(gradient_clip=1e-3, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0))
    module = PPO(**options, epochs=1)
    module.configure_model()
    start = trained_weights(module)
    fit(module, small_data(), max_steps=1)
    assert float((trained_weights(module) - start).norm()) == pytest.approx(1e-3, rel=1e-2)


def test_the_entropy_bonus_raises_entropy(fit, small_data, options):
    # Equal rewards and no price on divergence: without the bonus there is nothing to learn.
    options.update(kl_coefficient=0.0, advantage=LeaveOneOut(), reward=ConstantReward(), samples_per_prompt=2)
    entropies = {}
    for coefficient in (0.0, 1.0):
        module = PPO(**options, entropy_coefficient=coefficient)
        module.configure_model()
        with torch.no_grad():
            module.policy.transformer.wte.weight.mul_(20)
        start = trained_weights(module)
        reports = record(fit, module, small_data(), max_steps=8)
        assert torch.equal(trained_weights(module), start) is (coefficient == 0)
        entropies[coefficient] = [float(report.terms["entropy"]) for report in reports]
    assert entropies[1.0][-1] > entropies[1.0][0] + 0.05


def test_autocast_never_uses_copies_of_old_weights(fit, small_data, options):
    options["optimizer"] = lambda parameters: torch.optim.SGD(parameters, lr=1.0)
    deviations = {}
    for precision in ("32-true", "bf16-mixed"):
        (report,) = record(
            fit, PPO(**options, epochs=4, micro_batch_size=6), small_data(), max_steps=4, precision=precision
        )
        assert float(report.terms["ratio_first"]) == 0.0
        deviations[precision] = float(report.terms["ratio_deviation"])
    assert deviations["bf16-mixed"] == pytest.approx(deviations["32-true"], rel=0.1)


def test_reward_rises_and_the_critic_learns(fit, small_data, options):
    options["optimizer"] = lambda parameters: torch.optim.AdamW(parameters, lr=3e-3)
    reports = record(fit, PPO(**options, value_clip=None, epochs=4), small_data(), max_steps=120)
    rewards = [float(report.weighted.scored.rewards.mean()) for report in reports]
    losses = [float(report.terms["value"]) for report in reports]
    assert sum(rewards[-5:]) > 1.2 * sum(rewards[:5])
    assert losses[-1] < 0.3 * losses[0]


def test_the_trainers_own_accumulation_and_clipping_are_refused(fit, small_data, options):
    with pytest.raises(UserError, match=r"trainer.gradient_clip_val must be null for PPO.*gradient_clip, got 1.0"):
        fit(PPO(**options), small_data(), gradient_clip_val=1.0)
    with pytest.raises(UserError, match=r"trainer.accumulate_grad_batches must be 1 for PPO.*micro_batch_size, got 2"):
        fit(PPO(**options), small_data(), accumulate_grad_batches=2)


def test_bad_options_are_named(fit, small_data, options):
    for name in ("epochs", "minibatches", "micro_batch_size"):
        with pytest.raises(UserError, match=f"{name} must be at least 1, got 0"):
            PPO(**{**options, name: 0})
    for name in ("clip", "value_clip", "gradient_clip"):
        with pytest.raises(UserError, match=f"{name} must be positive, got 0.0"):
            PPO(**{**options, name: 0.0})
    with pytest.raises(UserError, match="minibatches must be at most the 24 answers of a rollout, got 25"):
        fit(PPO(**options, minibatches=25), small_data())
