"""Proximal policy optimization with a learned critic."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor
from torch.optim import Optimizer

from qstar_pl.checks import positive
from qstar_pl.distributed.clipping import clip_norm
from qstar_pl.distributed.ranks import sum_over_ranks
from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.methods.strategies.kl_controller import FixedKL, KLController, kl_of_answers
from qstar_pl.models import ValueHead
from qstar_pl.models.actor_critic import ActorCritic
from qstar_pl.qstar.advantages import GAE, Advantage
from qstar_pl.qstar.kl_estimators import K3
from qstar_pl.qstar.losses.clipped import clipped_policy_loss, clipped_value_loss
from qstar_pl.qstar.masking import masked_sum
from qstar_pl.qstar.weights import ClippedWeights, WeightTreatment
from qstar_pl.qstar.whitening import whiten
from qstar_pl.samplers import PolicySampler, Sampler
from qstar_pl.training.minibatches import Experience
from qstar_pl.training.reports import sum_of
from qstar_pl.training.several_steps import SeveralSteps
from qstar_pl.types import LossReport, PromptBatch


class PPO(RolloutModule):
    """Clipped policy gradient on answers of π_θ itself, several epochs of minibatches per rollout.

    1. Draw answers; the policy that drew them is π_old.
    2. Token rewards: −kl_coefficient · k(log π_old/π_init), and the answer's reward on its last token. With
       `kl_placement` InLoss the first part is a term of the loss instead, of the π_θ of every step.
    3. Advantages by GAE from the critic's values, whitened over all tokens of the rollout on all ranks.
    4. For every minibatch of every epoch: loss = mean over tokens of w max(−A ρ, −A clip(ρ)), plus the critic's and
       the entropy's part, with ρ = π_θ/π_old (Schulman et al. 2017). The weight w = π_old/q is 1 unless the sampler
       draws from something else than π_old.

    The expected gradient is that of E[r] − kl_coefficient · D(π_θ‖π_init) up to four things, each documented where it
    is chosen: GAE's bias while the critic errs, whitening, the clipped ratio, and weights of single tokens where the
    sampler is not the policy.

    One `training_step` is one rollout and `epochs` × `minibatches` optimizer steps, which max_steps, schedules and
    logs count; a rollout that was begun is finished.

    Terms, means over the optimizer steps: `loss/policy`, `loss/value` (reward²), `loss/entropy` (nats per token),
    `loss/clip_fraction` (share of tokens), `loss/approximate_kl` (k3 of π_old against π_θ, nats per token),
    `loss/ratio_deviation` (mean |log ρ|), with InLoss `loss/kl` (the estimate of D(π_θ‖π_init), nats per token).
    Besides: `loss/ratio_first`, the ratio_deviation of the first minibatch, exactly 0; `loss/kl_coefficient`.
    """

    def __init__(
        self,
        sampler: Sampler = PolicySampler(),
        advantage: Advantage = GAE(),
        weights: WeightTreatment = ClippedWeights(level="token"),
        clip: float = 0.2,
        value_clip: float | None = 0.2,
        value_coefficient: float = 0.5,
        entropy_coefficient: float = 0.0,
        kl_controller: KLController = FixedKL(),
        epochs: int = 2,
        minibatches: int = 1,
        micro_batch_size: int | None = None,
        gradient_clip: float | None = 1.0,
        **kwargs: Any,
    ) -> None:
        """Describe the method.

        Args:
            sampler: q.
            advantage: GAE, or a strategy without a critic.
            weights: treatment of π_old/q.
            clip: ε of the policy's ratio, positive.
            value_clip: ε of the critic's change, in units of reward; None: unclipped.
            value_coefficient: weight of the critic's loss.
            entropy_coefficient: reward of one nat of entropy per token.
            kl_controller: FixedKL, or AdaptiveKL, which starts from kl_coefficient.
            epochs: passes over each rollout.
            minibatches: optimizer steps per pass.
            micro_batch_size: answers per forward pass; None: a whole minibatch at once.
            gradient_clip: largest norm of the gradient; None: unclipped.
            **kwargs: see `RolloutModule`.

        """
        super().__init__(sampler=sampler, advantage=advantage, weights=weights, **kwargs)
        for name, bound in (("clip", clip), ("value_clip", value_clip)):
            positive(**{name: bound})
        self.steps = SeveralSteps(epochs, minibatches, micro_batch_size, gradient_clip)
        self.automatic_optimization = False  # one training_step takes several optimizer steps
        self.clip = clip
        self.value_clip = value_clip
        self.value_coefficient = value_coefficient
        self.entropy_coefficient = entropy_coefficient
        self.kl_controller = kl_controller

    @property
    def steps_per_batch(self) -> int:
        """See `RLHFModule.steps_per_batch`."""
        return self.steps.per_rollout

    @property
    def answers_per_backward(self) -> int | None:
        """Answers of a backward pass, where a step has several whose losses add up; see `GradientDiagnostic`."""
        return self.steps.micro_batch_size

    def check_advantage(self, advantage: Advantage) -> None:
        """Accept any: one that needs values gets a critic."""

    def configure_callbacks(self) -> Sequence[Callback]:
        """Check the trainer's options here, in the one hook that comes before Lightning's own check of them."""
        self.steps.check(self.trainer, type(self).__name__)
        return super().configure_callbacks()

    def build_models(self) -> None:
        """See `RolloutModule.build_models`; also makes the critic, a head on the policy's last hidden state."""
        super().build_models()
        if self.advantage.critic:
            # get_text_config: multimodal models keep the sizes of their language model one level down.
            self.critic = ValueHead(self.policy.config.get_text_config().hidden_size)

    @property
    def actor_critic(self) -> ActorCritic:
        """π_θ and its critic, if there is one."""
        critic = self.critic if self.advantage.critic else None
        return ActorCritic(self.policy_tokens, critic, entropy_gradient=self.entropy_coefficient != 0)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip here: float16's loss scale has been taken out, and the diagnostics have seen the gradient unclipped."""
        if self.steps.gradient_clip is not None:
            clip_norm(self, optimizer, self.steps.gradient_clip)

    def training_step(self, batch: PromptBatch, batch_idx: int) -> dict[str, Any]:
        """One rollout, `epochs` × `minibatches` optimizer steps."""
        rollout = self.draw(batch)
        completions = self.decode(rollout)
        reference_logprobs = self.reference_logprobs(rollout)
        epochs = self.steps.deal(rollout.completion_mask, seed=self.step_seed)
        # In the first epoch's micro-batches, so that ρ = 1 to the last bit in the first minibatch (see `old_outputs`).
        old_logprobs, old_values = self.actor_critic.old_outputs(rollout, self.steps.split(epochs[0]))
        weighted = self.weigh(self.score(rollout, completions), reference_logprobs, old_values)
        returns = weighted.advantages + old_values  # before whitening: the critic learns in units of reward
        whitened = whiten(weighted.advantages, rollout.completion_mask, all_sum=sum_over_ranks)
        weighted = replace(weighted, advantages=whitened)
        experience = Experience.of(weighted, reference_logprobs, old_logprobs, old_values, returns)
        steps = self.steps.take(
            self,
            self.watch,
            self.plateau,
            [minibatch for epoch in epochs for minibatch in epoch],
            rollout.completion_mask,
            lambda rows, scale: self.loss_of(batch, experience.rows(rows), scale),
        )
        report = sum_of(steps, len(steps))
        terms = {
            **report.terms,
            "ratio_first": steps[0].terms["ratio_deviation"],
            "kl_coefficient": torch.tensor(self.kl_coefficient),
        }
        # After the steps and the report: this rollout was priced at the old coefficient.
        self.kl_coefficient = self.kl_controller.next(
            self.kl_coefficient, *kl_of_answers(weighted, reference_logprobs, all_sum=sum_over_ranks)
        )
        report = LossReport(report.loss, terms)
        full = self.rollout_report(weighted, report, reference_logprobs, completions, passes=self.steps.epochs)
        return self.step_output(full, report.loss)

    def loss_of(self, prompts: PromptBatch, rows: Experience, scale: Tensor) -> LossReport:
        """Return the loss summed over the tokens of some rows, times `scale`."""
        mask = rows.completion_mask
        logprobs, entropy, values = self.actor_critic.outputs(prompts, rows.prompt_index, rows.completion_ids, mask)
        log_ratio = logprobs - rows.old_logprobs
        policy, clipped_mask = clipped_policy_loss(log_ratio, rows.weights * rows.advantages, self.clip)
        parts = {
            "policy": policy,
            "entropy": entropy,
            "clip_fraction": clipped_mask.to(policy.dtype),
            "approximate_kl": K3()(-log_ratio),  # the tokens are π_old's, so k takes log π_old/π_θ
            "ratio_deviation": log_ratio.abs(),
        }
        if self.advantage.critic:
            parts["value"] = clipped_value_loss(values, rows.old_values, rows.returns, self.value_clip)
        sums = {name: masked_sum(part, mask) * scale for name, part in parts.items()}
        if self.kl_placement.in_loss:
            # π_old/q · π_θ/π_old = π_θ/q: the price is that of the current policy.
            weights = rows.weights * self.moved_weights(log_ratio.detach(), mask)
            kl = self.kl_placement.loss(self.kl_estimator, logprobs, rows.reference_logprobs, weights, mask)
            sums["kl"] = kl.sum() * scale
        prices = {
            "policy": 1.0,
            "value": self.value_coefficient,
            "entropy": -self.entropy_coefficient,
            "kl": self.kl_coefficient,
        }
        # A term without a price is left out and not multiplied by 0, which would let its NaN or inf into the loss.
        loss = torch.stack([price * sums[name] for name, price in prices.items() if price and name in sums]).sum()
        return LossReport(loss, {name: part.detach() for name, part in sums.items()})

    def moved_weights(self, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """Return π_θ/π_old [rows, time], of tokens or whole answers as the weights are, to price the current policy."""
        if self.weights.level == "sequence":
            log_ratio = masked_sum(log_ratio, mask, dim=-1).unsqueeze(-1).expand_as(mask)
        return log_ratio.exp()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the coefficient as a number: a buffer would be rounded under bf16-true, where small changes get lost."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["kl_coefficient"] = self.kl_coefficient

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the coefficient; a checkpoint of another method has none."""
        self.kl_coefficient = checkpoint.get("kl_coefficient", self.kl_coefficient)
