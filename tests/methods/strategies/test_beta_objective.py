"""Which β the data determine: synthetic pairs whose labels follow σ(β* m) for a known β*."""

import math
from dataclasses import dataclass

import pytest
import torch
from recorder import Recorder
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.methods import DPO, LEDPO
from qstar_pl.methods.strategies.beta_head import BetaHead, Softplus
from qstar_pl.methods.strategies.beta_objective import BetaObjective, HeldOut, Joint
from qstar_pl.qstar.losses import Hinge, Sigmoid

PAIRS, SIZE = 4000, 8
HELD_OUT = HeldOut().held_out(torch.arange(PAIRS))


@dataclass(frozen=True)
class Held(HeldOut):
    """The same choice, made once: thousands of hashes at every step are the time of these tests."""

    def held_out(self, keys: Tensor) -> Tensor:
        return HELD_OUT[keys]


def pairs(rewards: Tensor, seed: int) -> Tensor:
    """±1 [pairs]: whether the first answer of each pair won, by Bradley–Terry with these differences of reward."""
    uniforms = torch.rand(len(rewards), generator=torch.Generator().manual_seed(seed))
    return torch.where(uniforms < rewards.sigmoid(), 1.0, -1.0)


def world(count: int = PAIRS, size: int = SIZE, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features [pairs, size] and the weights [size] of the true policy's log-ratio."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, generator=generator), 1.5 * torch.randn(size, generator=generator)


def learn(
    objective: BetaObjective,
    features: Tensor,
    labels: Tensor,
    policy: Tensor,
    *,
    initial: float,
    prior: float,
    steps: int = 1000,
    policy_lr: float = 0.01,
    beta_lr: float = 0.02,
) -> list[float]:
    """β at every step; the policy is linear in the features and starts at `policy`, which is changed in place."""
    policy.requires_grad_()
    options = {"initial": initial, "minimum": 0.01, "scale": 1.0, "fixed": True}
    head = BetaHead(1, Softplus(), **options)
    optimizer = torch.optim.Adam(
        [{"params": [policy], "lr": policy_lr}, {"params": list(head.parameters()), "lr": beta_lr}]
    )
    keys, seen = torch.arange(len(labels)), []
    for _ in range(steps):
        betas = head(torch.zeros(len(labels), 1))
        seen.append(float(betas[0].detach()))
        loss = objective(Sigmoid(), labels * (features @ policy), betas, keys, initial).loss
        loss = loss + prior * (betas / initial).log().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    policy.requires_grad_(False)
    return seen


def calibrated(features: Tensor, rewards: Tensor, policy: Tensor) -> float:
    """The β of least E[−log σ(±β m)] over labels, by a grid on infinitely many labels per pair."""
    margins, chance = features @ policy, rewards.sigmoid()
    grid = torch.linspace(0.01, 2.0, 400)
    losses = [
        float((-chance * torch.nn.functional.logsigmoid(b * margins)).mean())
        + float((-(1 - chance) * torch.nn.functional.logsigmoid(-b * margins)).mean())
        for b in grid
    ]
    return float(grid[losses.index(min(losses))])


@pytest.mark.parametrize("true_beta", [0.15, 0.3, 0.8])
def test_held_out_pairs_recover_the_beta_of_a_known_policy(true_beta: float) -> None:
    """The policy stands at the truth, π ∝ π_init exp(r/β*): β* is found within three standard errors from any start."""
    features, true_policy = world()
    margins = features @ true_policy
    labels = pairs(true_beta * margins, seed=2)
    chance = (true_beta * margins).sigmoid()
    information = float((margins.square() * chance * (1 - chance))[HELD_OUT].sum())
    for initial in (0.1, 0.5):
        betas = learn(Held(), features, labels, true_policy.clone(), initial=initial, prior=0.0, policy_lr=0.0)
        assert betas[-1] == pytest.approx(true_beta, abs=3 / math.sqrt(information))
        assert 3 / math.sqrt(information) < 0.4 * true_beta
    # The same labels, one loss for both and a policy that can move: the prior's value, and not β*.
    for initial in (0.1, 0.5):
        betas = learn(Joint(), features, labels, true_policy.clone(), initial=initial, prior=0.1, policy_lr=0.1)
        assert betas[-1] == pytest.approx(initial, rel=0.05)
        assert betas[-1] != pytest.approx(true_beta, rel=0.2)


@pytest.mark.parametrize(("true_beta", "peak"), [(0.2, 0.11), (0.4, 0.13)])
def test_the_joint_beta_is_a_transient(true_beta: float, peak: float) -> None:
    """From a policy that knows nothing: up, and back at the prior, for any β* of the labels."""
    features, true_policy = world(1000)
    labels = pairs(true_beta * (features @ true_policy), seed=2)
    options = {"initial": 0.1, "prior": 0.1, "steps": 2000, "beta_lr": 3e-3}
    betas = learn(Joint(), features, labels, torch.zeros(SIZE), **options)
    assert round(max(betas), 2) == peak
    assert betas.index(max(betas)) < 500
    assert betas[-1] == pytest.approx(0.1, rel=0.03)


def test_a_policy_that_has_learnt_the_truth_has_the_beta_it_was_trained_with() -> None:
    features, true_policy = world()
    rewards = 0.3 * (features @ true_policy)
    policy = torch.zeros(SIZE)
    betas = learn(Held(), features, pairs(rewards, seed=3), policy, initial=0.1, prior=0.0, policy_lr=0.1)
    assert betas[-1] == pytest.approx(0.1, rel=0.1)
    assert betas[-1] == pytest.approx(calibrated(features, rewards, policy), rel=0.1)


def test_a_policy_that_has_overfitted_has_a_smaller_one() -> None:
    """Forty weights and 100 pairs: on its own pairs the policy is sure, on new ones it should not be."""
    features, true_policy = world(125, 40)
    rewards = 0.1 * (features @ true_policy)
    everywhere, _ = world(20_000, 40, seed=7)
    policy = torch.zeros(40)
    betas = learn(Held(), features, pairs(rewards, seed=4), policy, initial=0.3, prior=0.0, policy_lr=0.03)
    known = calibrated(everywhere, 0.1 * (everywhere @ true_policy), policy)
    assert known < 0.1
    assert betas[-1] < 0.15


def test_the_policy_learns_from_the_other_pairs_only_and_beta_from_these_only() -> None:
    objective, keys = HeldOut(share=0.3), torch.arange(500)
    held_out = objective.held_out(keys)
    assert 0.2 < float(held_out.float().mean()) < 0.4
    assert torch.equal(objective.held_out(keys[held_out]), torch.ones(int(held_out.sum()), dtype=torch.bool))
    margins = torch.randn(500, generator=torch.Generator().manual_seed(0), requires_grad=True)
    betas = torch.full((500,), 0.2, requires_grad=True)
    report = objective(Hinge(), margins, betas, keys, 0.1)
    to_margins, to_betas = torch.autograd.grad(report.loss, [margins, betas])
    assert bool((to_margins[held_out] == 0).all())
    assert bool((to_margins[~held_out] != 0).any())
    assert bool((to_betas[~held_out] == 0).all())
    # β's own loss is the likelihood whatever the policy's loss is: −m σ(−β m) per pair.
    expected = -(margins * (-0.2 * margins).sigmoid())[held_out] / (500 * 0.3)
    torch.testing.assert_close(to_betas[held_out], expected)
    policy = torch.relu(1 - 0.1 * margins)[~held_out].sum() / (500 * 0.7)
    assert float(report.terms["policy"]) == pytest.approx(policy.item(), rel=1e-5)


def test_through_the_trainer_the_policy_steps_as_dpo_on_what_is_not_held_out(fit, small_data, policy_options) -> None:
    recorder = Recorder()
    module = LEDPO(**policy_options, objective=HeldOut(share=0.4), initial_beta=0.3)
    fit(module, small_data(), callbacks=[recorder], max_steps=1)
    kept = ~HeldOut(share=0.4).held_out(recorder.batches[0].prompts.keys)
    assert 0 < int(kept.sum()) < len(kept)
    other = DPO(**policy_options, beta=0.3)
    other.configure_model()
    margins = other.margins(recorder.batches[0])
    loss = (Sigmoid()(margins, 0.3) * kept).mean() / 0.6
    loss.backward()
    for moved, parameter in zip(module.policy.parameters(), other.policy.parameters(), strict=True):
        expected = parameter.detach() - 0.1 * (0 if parameter.grad is None else parameter.grad)
        torch.testing.assert_close(moved.detach(), expected, atol=1e-6, rtol=1e-4)
    assert set(recorder.reports[0].terms) == {"margin", "accuracy", "policy", "held_out", "prior"}
    assert float(recorder.reports[0].terms["prior"]) == 0.0


def test_options(policy_options) -> None:
    assert LEDPO(**policy_options).prior_weight == 0.1
    assert LEDPO(**policy_options, objective=HeldOut()).prior_weight == 0.0
    assert LEDPO(**policy_options, objective=HeldOut(), prior_weight=0.5).prior_weight == 0.5
    with pytest.raises(UserError, match="detach_hidden must be true for HeldOut"):
        LEDPO(**policy_options, objective=HeldOut(), detach_hidden=False)
    for share in (0.0, 1.0):
        with pytest.raises(UserError, match=r"share must lie in \(0, 1\)"):
            HeldOut(share=share)
    assert math.isclose(Joint().default_prior_weight, 0.1)
