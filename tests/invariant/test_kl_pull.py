"""What each place × estimator × q makes of the price of a nat: its expected gradient beside that of D(π_θ‖π_init)."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from reference.enumerated import BEFORE, COUNT, IDS, MASK, Behavior, Pair, error, pull
from reference.tiny_models import TableModel
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.methods import PPO, QStar, RejectionSampling
from qstar_pl.methods.q_star import policy_gradient
from qstar_pl.models import FromConfig
from qstar_pl.qstar import kl_placement
from qstar_pl.qstar.advantages import RawReward
from qstar_pl.qstar.kl_estimators import K1, K2, K3, KLEstimator
from qstar_pl.qstar.kl_placement import InLoss, InReward, KLPlacement
from qstar_pl.qstar.weights import ClippedWeights, RawWeights, WeightTreatment
from qstar_pl.rewards import GoldReward
from qstar_pl.training.minibatches import Experience
from qstar_pl.types import ScoredRollout

PAIR = Pair(drift=0.35)
TRUE = PAIR.kl_gradient()
BEHAVIORS = {"policy": PAIR.behavior(1.0), "symmetric": PAIR.behavior(None), "target": PAIR.behavior(0.0)}
EVERY = torch.arange(COUNT)


class TablePolicy:
    """Puts the pair's tables in the place of a method's models."""

    def __init__(self, policy: Tensor | None = None, **kwargs: Any) -> None:
        super().__init__(policy=FromConfig(model_type="gpt2"), reward=GoldReward(), gold=None, **kwargs)
        self.table = torch.nn.Parameter((PAIR.policy if policy is None else policy).clone())

    @property
    def policy_tokens(self) -> TableModel:
        return TableModel(self.table, eos=(1,))

    @property
    def reference_tokens(self) -> TableModel:
        return TableModel(PAIR.reference, eos=(1,))


class OnTables(TablePolicy, QStar):
    """QStar on the pair."""


class TablePPO(TablePolicy, PPO):
    """PPO on the pair, without a critic."""

    @property
    def actor_critic(self) -> TableActor:
        return TableActor(self.table)


class TableActor:
    def __init__(self, table: Tensor) -> None:
        self.table = table

    def outputs(self, prompts: Any, prompt_index: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        before = torch.cat([torch.full((len(ids), 1), 2), ids[:, :-1]], 1)
        logprobs = torch.where(mask, self.table.log_softmax(-1)[before, ids], 0.0)
        return logprobs, torch.zeros_like(logprobs), torch.zeros_like(logprobs)


def scored_answer(answer: int, behavior: Behavior) -> ScoredRollout:
    rollout = PAIR.rollout(behavior, EVERY[answer : answer + 1], torch.zeros(1).long())
    return ScoredRollout(rollout, torch.zeros(1, dtype=torch.float64), {})


def of_q_star(
    behavior: Behavior, placement: KLPlacement, estimator: KLEstimator, weights: WeightTreatment = RawWeights()
) -> tuple[Tensor, float]:
    """Return the expected gradient of the price, and the expected `loss/kl`, by the method's own code on every
    answer."""
    module = OnTables(
        advantage=RawReward(), weights=weights, kl_coefficient=1.0, kl_placement=placement, kl_estimator=estimator
    )
    gradient, value = torch.zeros_like(TRUE), 0.0
    for answer, probability in enumerate(behavior.law.tolist()):
        scored = scored_answer(answer, behavior)
        reference = PAIR.reference_logprobs[answer : answer + 1]
        report = policy_gradient(module, module.weigh(scored, reference), reference)
        gradient += probability * torch.autograd.grad(report.loss, module.table)[0].flatten()
        value += probability * float(report.terms.get("kl", 0.0))
    return gradient, value


ROWS = {
    "in the reward, of tokens": InReward(),
    "in the loss, of whole answers": InLoss(),
    "the same, weights differentiated": InLoss(differentiate_weights=True),
    "in the loss, of tokens": InLoss(level="token"),
}


@pytest.mark.parametrize("behavior", BEHAVIORS)
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("number", [0, 1, 2], ids=["K1", "K2", "K3"])
def test_every_cell_of_the_table(row: str, number: int, behavior: str) -> None:
    estimator: KLEstimator = (K1(), K2(), K3())[number]
    line = next(line for line in (kl_placement.__doc__ or "").splitlines() if line.startswith(f"| {row} |"))
    cell = line.split("|")[2 + number].strip()
    if cell.startswith("refused"):
        with pytest.raises(UserError, match=r"kl_estimator must be K"):
            ROWS[row].check(estimator)
        return
    found, value = of_q_star(BEHAVIORS[behavior], ROWS[row], estimator)
    assert re.fullmatch(r"(\d\.\d\d) \((\d\.\d\d)\)", cell)
    assert cell == f"{pull(found, TRUE):.2f} ({error(found, TRUE):.2f})"
    if ROWS[row].in_loss and not isinstance(estimator, K2):
        divergence = PAIR.policy_logprobs.sum(-1).exp() @ (PAIR.policy_logprobs - PAIR.reference_logprobs).sum(-1)
        assert value == pytest.approx(float(divergence), abs=1e-9)


@pytest.mark.parametrize("behavior", BEHAVIORS)
@pytest.mark.parametrize(
    ("placement", "estimator"),
    [
        (InReward(), K1()),
        (InLoss(), K2()),
        (InLoss(differentiate_weights=True), K1()),
        (InLoss(differentiate_weights=True), K3()),
    ],
)
def test_what_is_called_exact_is(placement, estimator, behavior) -> None:
    assert error(of_q_star(BEHAVIORS[behavior], placement, estimator)[0], TRUE) < 1e-9


def test_the_last_row_and_the_values_in_the_text() -> None:
    found, _ = of_q_star(BEHAVIORS["symmetric"], InLoss(level="token", differentiate_weights=True), K3())
    assert f"{pull(found, TRUE):.2f} ({error(found, TRUE):.2f})" == "1.02 (0.02)"
    near = Pair(drift=0.1)
    log_ratio = near.policy_logprobs - near.reference_logprobs
    law = near.policy_logprobs.sum(-1).exp()
    assert f"{float(law @ log_ratio.sum(-1)):.3f}" == "0.003"
    for estimator in (K2(), K3()):
        prices = estimator(torch.where(MASK, log_ratio, 0.0)).sum(-1, keepdim=True).expand_as(MASK)
        assert f"{pull(near.gradient(law, prices), near.kl_gradient()):.2f}" == "0.04"
    policy = PAIR.policy_logprobs.sum(-1)
    assert f"{float(policy.exp() @ (policy - PAIR.reference_logprobs.sum(-1))):.2f}" == "0.03"


def test_k3_in_the_loss_is_the_gradient_of_the_divergence_the_other_way() -> None:
    logits = PAIR.policy.clone().requires_grad_()
    logprobs = torch.where(MASK, logits.log_softmax(-1)[BEFORE, IDS], 0.0).sum(-1)
    reference = PAIR.reference_logprobs.sum(-1)
    forward = (reference.exp() * (reference - logprobs)).sum()
    expected = torch.autograd.grad(forward, logits)[0].flatten()
    torch.testing.assert_close(of_q_star(BEHAVIORS["target"], InLoss(), K3())[0], expected)


def test_tokens_in_the_loss_hold_the_contexts_still() -> None:
    """K2 of tokens: Σ_t E[∇ D(π_θ(·|y_<t)‖π_init(·|y_<t))], the contexts drawn from a policy that does not move."""
    logits = PAIR.policy.clone().requires_grad_()
    rows, reference = logits.log_softmax(-1), PAIR.reference.log_softmax(-1)
    divergences = (rows.exp() * (rows - reference)).sum(-1)
    law = PAIR.policy_logprobs.sum(-1).exp()
    held = (law.unsqueeze(-1) * torch.where(MASK, divergences[BEFORE], 0.0)).sum()
    expected = torch.autograd.grad(held, logits)[0].flatten()
    torch.testing.assert_close(of_q_star(BEHAVIORS["symmetric"], InLoss(level="token"), K2())[0], expected)


def test_clipped_weights_share_their_bias_with_the_price() -> None:
    """K1 in the reward and K2 in the loss are one gradient, also where the weights make it another than the true
    one."""
    in_reward, _ = of_q_star(BEHAVIORS["target"], InReward(), K1(), ClippedWeights())
    in_loss, _ = of_q_star(BEHAVIORS["target"], InLoss(), K2(), ClippedWeights())
    torch.testing.assert_close(in_reward, in_loss)
    assert error(in_loss, TRUE) > 0.3


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_in_ppo_the_price_is_of_the_policy_of_now(behavior: str) -> None:
    """Three policies: q drew, π_old weighed, π_θ has moved; the gradient is that of D(π_θ‖π_init)."""
    moved = PAIR.policy + 0.3 * torch.randn(3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    other = Pair(drift=0.35)
    other.policy, other.scores = moved, torch.empty(0)
    module = TablePPO(
        policy=moved,
        advantage=RawReward(),
        weights=RawWeights(),
        kl_coefficient=1.0,
        kl_placement=InLoss(),
        kl_estimator=K2(),
    )
    law, gradient = BEHAVIORS[behavior].law, torch.zeros_like(TRUE)
    for answer in range(COUNT):
        scored = scored_answer(answer, BEHAVIORS[behavior])
        reference = PAIR.reference_logprobs[answer : answer + 1]
        weighted = module.weigh(scored, reference)
        old = PAIR.policy_logprobs[answer : answer + 1]
        rows = Experience.of(weighted, reference, old, torch.zeros_like(old), torch.zeros_like(old))
        report = module.loss_of(scored.rollout.prompts, rows, torch.ones(()))
        gradient += law[answer] * torch.autograd.grad(report.loss, module.table)[0].flatten()
    logits = moved.clone().requires_grad_()
    logprobs = torch.where(MASK, logits.log_softmax(-1)[BEFORE, IDS], 0.0).sum(-1)
    divergence = (logprobs.exp() * (logprobs - PAIR.reference_logprobs.sum(-1))).sum()
    torch.testing.assert_close(gradient, torch.autograd.grad(divergence, logits)[0].flatten())
    assert error(gradient, TRUE) > 0.1


def test_the_coefficient_is_the_price_of_a_nat() -> None:
    """Rewards of 0: the loss is the price alone, and its gradient is in proportion to it; `loss/kl` is not."""
    gradients, values = [], []
    for coefficient in (1.0, 0.25):
        options = {"kl_coefficient": coefficient, "kl_placement": InLoss(), "kl_estimator": K2()}
        module = OnTables(advantage=RawReward(), weights=RawWeights(), **options)
        reference = PAIR.reference_logprobs[9:10]
        report = policy_gradient(module, module.weigh(scored_answer(9, BEHAVIORS["symmetric"]), reference), reference)
        gradients.append(torch.autograd.grad(report.loss, module.table)[0])
        values.append(float(report.terms["kl"]))
    assert float(gradients[0].norm()) > 1e-3
    torch.testing.assert_close(gradients[1], 0.25 * gradients[0])
    assert values[0] == values[1]


def test_token_weights_of_ppo_move_by_token() -> None:
    log_ratio = torch.tensor([[0.5, -0.2, 9.0]])
    mask = torch.tensor([[True, True, False]])
    by_token = TablePPO(weights=ClippedWeights(level="token")).moved_weights(log_ratio, mask)
    by_answer = TablePPO(weights=ClippedWeights()).moved_weights(log_ratio, mask)
    torch.testing.assert_close(by_token[:, :2], log_ratio[:, :2].exp())
    torch.testing.assert_close(by_answer[:, :2], torch.tensor([[0.3, 0.3]]).exp())


@pytest.mark.parametrize("method", [OnTables, TablePPO])
def test_a_price_without_a_gradient_is_refused(method) -> None:
    with pytest.raises(UserError, match=r"kl_estimator must be K2 or K3 for InLoss .* got K1"):
        method(kl_placement=InLoss())
    with pytest.raises(UserError, match=r"kl_estimator must be K1 or K3 for InLoss .* got K2"):
        method(kl_placement=InLoss(differentiate_weights=True), kl_estimator=K2())
    with pytest.raises(TypeError):
        RejectionSampling(kl_placement=InLoss())


@pytest.mark.parametrize("estimator", [K1(), K2(), K3()])
def test_slopes_are_derivatives(estimator: KLEstimator) -> None:
    log_ratio = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(estimator(log_ratio).sum(), log_ratio)
    torch.testing.assert_close(estimator.slope(log_ratio.detach()), expected)


def test_pads_and_dead_tokens_change_nothing() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, float("nan")]], requires_grad=True)
    reference, mask = torch.tensor([[-1.5, -1.0, -torch.inf]]), torch.tensor([[True, True, False]])
    for level in ("sequence", "token"):
        term = InLoss(level=level).loss(K2(), logprobs, reference, torch.ones(1, 3), mask)
        expected = 0.125 if level == "sequence" else 0.625
        assert term.tolist() == pytest.approx([expected])
        (gradient,) = torch.autograd.grad(term.sum(), logprobs)
        assert gradient.tolist()[0][:2] == pytest.approx([-0.5, -0.5] if level == "sequence" else [0.5, -1.0])
        assert gradient[0, 2] == 0
