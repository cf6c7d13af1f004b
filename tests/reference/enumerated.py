"""A pair of tables and all that they can say: expectations over every tuple of n answers, in float64, without sampling.

Policy, target and reference are Markov chains over three tokens; EOS ends an answer, and so does its third token, which
leaves 15 answers. Gradients are with respect to the policy's table of logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from reference import enumeration
from torch import Tensor

from qstar_pl.types import PromptBatch, Rollout, SamplerInfo

VOCAB, LENGTH, EOS, START = 3, 3, 1, 2
Coefficients = Callable[[Tensor, Tensor], Tensor]
"""(answers [rows], prompt_index [rows]) → [rows, time], what multiplies ∇log π_θ(y_t) in an estimate."""


def table(seed: int, scale: float) -> Tensor:
    return scale * torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _answers() -> tuple[Tensor, Tensor]:
    every = product(range(VOCAB), repeat=LENGTH)
    found = sorted({answer[: answer.index(EOS) + 1] if EOS in answer else answer for answer in every})
    ids = torch.tensor([[*answer, *[0] * (LENGTH - len(answer))] for answer in found])
    return ids, torch.tensor([[t < len(answer) for t in range(LENGTH)] for answer in found])


IDS, MASK = _answers()
COUNT = len(IDS)
BEFORE = torch.cat([torch.full((COUNT, 1), START), IDS[:, :-1]], 1)


@dataclass(frozen=True)
class Behavior:
    """A law of answers that goes token by token; both [answers, time]."""

    logprobs: Tensor
    alpha: Tensor

    @property
    def law(self) -> Tensor:
        return self.logprobs.sum(-1).exp()


class Pair:
    """π_θ, π_t, π_init, and a reward of every answer."""

    def __init__(self, scale: float = 2.0, drift: float = 0.7, seed: int = 90) -> None:
        self.policy, self.target = table(seed, scale), table(seed + 1, scale)
        self.reference = self.policy + table(seed + 2, drift)
        self.rewards = torch.randn(COUNT, generator=torch.Generator().manual_seed(seed + 3), dtype=torch.float64) + 1
        self.scores = torch.autograd.functional.jacobian(self.logprobs_of, self.policy).flatten(2)

    @staticmethod
    def logprobs_of(logits: Tensor) -> Tensor:
        return torch.where(MASK, logits.log_softmax(-1)[BEFORE, IDS], 0.0)

    @property
    def policy_logprobs(self) -> Tensor:
        return self.logprobs_of(self.policy)

    @property
    def target_logprobs(self) -> Tensor:
        return self.logprobs_of(self.target)

    @property
    def reference_logprobs(self) -> Tensor:
        return self.logprobs_of(self.reference)

    def behavior(self, alpha: float | None) -> Behavior:
        """The token-wise mixture: 1 is π_θ, 0 is π_t, None the KL-symmetric one of every context."""
        mix = enumeration.geometric(alpha)
        rows, exponents = [], []
        for p, t in zip(self.policy.softmax(-1).numpy(), self.target.softmax(-1).numpy(), strict=True):
            q = torch.from_numpy(mix(p, t)).log()
            a, b = torch.from_numpy(p).log(), torch.from_numpy(t).log()
            rows.append(q)
            # log q = α a + (1 − α) b + const, so differences between two tokens give α back.
            exponents.append(((q - b)[0] - (q - b)[1]) / ((a - b)[0] - (a - b)[1]))
        logprobs = torch.where(MASK, torch.stack(rows)[BEFORE, IDS], 0.0)
        return Behavior(logprobs, torch.where(MASK, torch.stack(exponents)[BEFORE], 0.0))

    def gradient(self, law: Tensor, coefficients: Tensor) -> Tensor:
        """Σ_y law(y) Σ_t coefficients(y, t) ∇log π_θ(y_t) [parameters]."""
        return torch.einsum("a,at,atp->p", law, coefficients, self.scores)

    def reward_gradient(self) -> Tensor:
        """∇ Σ_y π_θ(y) r(y)."""
        return self.gradient(self.policy_logprobs.sum(-1).exp(), self.rewards.unsqueeze(-1).expand_as(MASK))

    def kl_gradient(self) -> Tensor:
        """∇ D(π_θ‖π_init) of whole answers, by differentiating the sum."""
        logits = self.policy.clone().requires_grad_()
        logprobs = self.logprobs_of(logits).sum(-1)
        divergence = (logprobs.exp() * (logprobs - self.reference_logprobs.sum(-1))).sum()
        return torch.autograd.grad(divergence, logits)[0].flatten()

    def expected_gradient(self, behavior: Behavior, n: int, coefficients: Coefficients) -> Tensor:
        """The mean over every n-tuple of answers drawn from `behavior` of (1/n) Σ_i Σ_t c_it ∇log π_θ(y_it)."""
        tuples, probabilities = self.tuples(behavior.law, n)
        index = torch.arange(len(tuples)).repeat_interleave(n)
        of_rows = coefficients(tuples.flatten(), index) * probabilities.repeat_interleave(n).unsqueeze(-1) / n
        per_answer = torch.zeros(COUNT, LENGTH, dtype=torch.float64).index_add(0, tuples.flatten(), of_rows)
        return torch.einsum("at,atp->p", per_answer, self.scores)

    @staticmethod
    def tuples(law: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Return every n-tuple of answers [tuples, n] and its probability [tuples]."""
        tuples = torch.cartesian_prod(*[torch.arange(COUNT)] * n).view(-1, n)
        return tuples, law[tuples].prod(-1)

    def rollout(self, behavior: Behavior, answers: Tensor, prompt_index: Tensor) -> Rollout:
        """A rollout of the given answers [rows]."""
        prompts, zeros = int(prompt_index.max()) + 1, torch.zeros(len(answers), LENGTH, dtype=torch.float64)
        batch = PromptBatch(
            torch.full((prompts, 1), START), torch.ones(prompts, 1, dtype=torch.bool), torch.arange(prompts), ()
        )
        return Rollout(
            prompts=batch,
            prompt_index=prompt_index,
            completion_ids=IDS[answers],
            completion_mask=MASK[answers],
            ended_mask=(IDS * MASK == EOS).any(-1)[answers],
            behavior_logprobs=behavior.logprobs[answers],
            policy_logprobs=self.policy_logprobs[answers],
            target_logprobs=self.target_logprobs[answers],
            alpha=behavior.alpha[answers],
            log_z=zeros,
            ess_policy=zeros,
            ess_target=zeros,
            kl_behavior_policy=zeros,
            kl_behavior_target=zeros,
            uncovered_mass=zeros,
            info=SamplerInfo(exact=True, seed=0),
        )


def pull(gradient: Tensor, truth: Tensor) -> float:
    """The share of the true gradient that is in `gradient`: 1 if it is exact, 0 if it stands at a right angle."""
    return float(gradient @ truth / (truth @ truth))


def error(gradient: Tensor, truth: Tensor) -> float:
    """‖gradient − truth‖/‖truth‖."""
    return float((gradient - truth).norm() / truth.norm())


def off_direction(gradient: Tensor, truth: Tensor) -> float:
    """What no learning rate can mend: ‖c · gradient − truth‖/‖truth‖ with the best c."""
    return float((1 - torch.cosine_similarity(gradient, truth, dim=0).square()).clamp_min(0).sqrt())
