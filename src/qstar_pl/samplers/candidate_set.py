"""Sampling from the sequence-level mixture by resampling a set of candidates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qstar_pl.checks import at_least
from qstar_pl.models.next_token import NextToken
from qstar_pl.qstar import AlphaStrategy, KLSymmetricAlpha
from qstar_pl.qstar.candidates import (
    CandidateMixture,
    first_copies,
    mix_candidates,
    normalise_candidates,
    uncovered_by_candidates,
)
from qstar_pl.qstar.logprobs import sequence_logprobs
from qstar_pl.rollout.engine import decode
from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.rollout.law import POLICY, Alone, Law
from qstar_pl.rollout.pace import Pace
from qstar_pl.rollout.streams import row_uniforms
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.samplers.sampler import Sampler
from qstar_pl.targets.candidate_target import CandidateTarget
from qstar_pl.targets.target import Target
from qstar_pl.types import PromptBatch, Rollout, SamplerInfo


@dataclass(frozen=True, kw_only=True)
class CandidateSetSampler(Sampler):
    """Draws N candidates per prompt, forms q_α over them and resamples answers from it, with replacement.

    q_α ∝ π_θ(y|x)^α π_t(y|x)^(1−α) over whole answers, self-normalized over the candidates with respect to the law
    they were drawn from (see `normalise_candidates`). As N grows that is the *sequence-level* mixture, which no
    token-wise sampler draws from, and α its sequence-level exponent.

    Not exact: an answer outside the set cannot be drawn, so the law of what is drawn differs from q_α by O(1/N), and
    log Z is an estimate. What `Rollout` then says: `behavior_logprobs` sum along an answer to the *estimated*
    log q_α(y|x) = log π_θ(y|x) − log w, w = π_θ/q over the set, spread evenly over the tokens (only the sum has a
    meaning, so weights have to be at sequence level); `log_z` and both KLs are spread likewise; ESS and α are the
    set's, at every token; `uncovered_mass` is π_θ's mass of answers outside the set, close to 1 for long answers.
    Under a target without next tokens, `target_logprobs` is the estimate log π_θ + log π_t/π_θ over the set, spread
    the same way. Temperature, top-k and top-p apply to q over the set.

    Answers from one set are not independent, and a baseline made of them is biased: leaving only the answer itself out
    gave .50, .67, .75 of the gradient with sets of 2, 3, 4 candidates at α = 1, and less at KL symmetry. So a prompt
    has one set for every `answers_per_set` answers, and `LeaveOneOut` takes its baseline from the other sets.
    """

    candidates: int = 16
    """Answers drawn per set to choose among, at least 1; with 1 the sampler is its proposal."""
    answers_per_set: int = 2
    """Answers taken from each set, at least 1: n answers to a prompt cost ⌈n/answers_per_set⌉ · candidates draws."""
    alpha: AlphaStrategy = KLSymmetricAlpha()  # noqa: RUF009 (frozen)
    """How the exponent of π_θ is chosen over each set."""
    proposal: Law = Alone(POLICY)  # noqa: RUF009 (frozen)
    """What candidates are drawn from, token by token: Alone(role: policy or target) or Geometric(alpha)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, candidates=self.candidates)
        at_least(1, answers_per_set=self.answers_per_set)

    @property
    def exact(self) -> bool:
        """See `Sampler.exact`: only the candidates can be drawn, and log q is an estimate."""
        return False

    @property
    def whole_answers(self) -> bool:
        """See `Sampler.whole_answers`."""
        return True

    def check_target(self, target: Target) -> None:
        """See `Sampler.check_target`: a candidate target needs candidates that are drawn without it."""
        if self._whole(target) is None:
            self.next_tokens(target)

    def _whole(self, target: NextToken | Target) -> CandidateTarget | None:
        # Any other proposal would ask the target for next tokens, which it does not have.
        return target if isinstance(target, CandidateTarget) and self.proposal.roles == (POLICY,) else None

    def independent_draws(self, samples: int) -> int:
        """See `Sampler.independent_draws`: one per set."""
        # Rounded up: the last set may give fewer answers.
        return -(-samples // self.answers_per_set)

    def draw(
        self,
        prompts: PromptBatch,
        policy: NextToken,
        target: NextToken | Target,
        *,
        samples: int,
        seed: int,
        pace: Pace = Pace(),
    ) -> Rollout:
        """See `Sampler.draw`."""
        whole = self._whole(target)
        # A target without next tokens is not asked for any while candidates are drawn from the policy alone.
        tokens = self.next_tokens(target) if whole is None else policy
        pool = decode(
            prompts,
            policy,
            tokens,
            self.proposal,
            samples=self.independent_draws(samples) * self.candidates,
            seed=seed,
            max_new_tokens=self.max_new_tokens,
            pace=pace,
        )
        # From here on a row is a set: [prompts · sets, candidates].
        proposals = self._sums(pool, pool.behavior_logprobs)
        policy_law = normalise_candidates(self._sums(pool, pool.policy_logprobs), proposals)
        if whole is None:
            target_law = normalise_candidates(self._sums(pool, pool.target_logprobs), proposals)
        else:
            target_law = whole.candidate_logprobs(pool, policy_law)
            # log π_t of an answer is known up to a constant of its set only, through its ratio to π_θ.
            estimate = pool.policy_logprobs + _spread((target_law - policy_law).flatten(), pool.completion_mask)
            pool = replace(pool, target_logprobs=estimate)
        mixture = mix_candidates(policy_law, target_law, self.alpha)
        # Truncated, so that `log_weights` are those of the law that is drawn from.
        drawn = replace(mixture, logprobs=Truncation(self.temperature, self.top_k, self.top_p)(mixture.logprobs))
        # A stream of its own: the candidates' numbers would make the choice depend on what they are.
        uniforms = row_uniforms(prompts.keys, samples, 1, seed=seed, purpose="resample").squeeze(-1)
        sets = self._sets(len(prompts), samples).to(drawn.logprobs.device)
        chosen = inverse_cdf(drawn.logprobs.exp()[sets], uniforms.to(drawn.logprobs.device))
        rollout = _resample(pool, drawn, sets, sets * self.candidates + chosen, self._uncovered(pool))
        info = SamplerInfo(exact=False, seed=seed, answers_per_set=self.answers_per_set)
        return replace(rollout, info=info)

    def _sets(self, prompts: int, samples: int) -> Tensor:
        """Return, for each answer [prompts × samples], the number of the set that it is taken from."""
        # Answers [0, answers_per_set) come from a prompt's first set, the next ones from its second, and so on.
        of_prompt = torch.arange(samples) // self.answers_per_set
        return (torch.arange(prompts).unsqueeze(-1) * self.independent_draws(samples) + of_prompt).flatten()

    def _sums(self, pool: Rollout, logprobs: Tensor) -> Tensor:
        """Return Σ_t of `logprobs` [sets, candidates] in float64: differences of long sums decide."""
        return sequence_logprobs(logprobs.double(), pool.completion_mask).view(-1, self.candidates)

    def _uncovered(self, pool: Rollout) -> Tensor:
        sets = (-1, self.candidates)
        copies_mask = first_copies(pool.completion_ids.unflatten(0, sets), pool.completion_mask.unflatten(0, sets))
        return uncovered_by_candidates(self._sums(pool, pool.policy_logprobs), copies_mask)


def _spread(values: Tensor, mask: Tensor) -> Tensor:
    """Return [rows, time] float32 whose sums over the tokens of `mask` are `values` [rows]."""
    return torch.where(mask, (values / mask.sum(-1)).float().unsqueeze(-1), 0.0)


def _resample(pool: Rollout, drawn: CandidateMixture, sets: Tensor, rows: Tensor, uncovered: Tensor) -> Rollout:
    """Return the rollout of the candidates `rows` of the pool, each taken from the set that `sets` [rows] says."""
    mask = pool.completion_mask[rows]
    # The longest candidate may not have been chosen.
    mask = mask[:, : int(mask.sum(-1).max())]
    time = mask.shape[1]

    def everywhere(per_set: Tensor) -> Tensor:
        return torch.where(mask, per_set.float()[sets].unsqueeze(-1), 0.0)

    def spread(per_set: Tensor) -> Tensor:
        return _spread(per_set[sets], mask)

    policy = pool.policy_logprobs[rows, :time]
    return Rollout(
        prompts=pool.prompts,
        prompt_index=pool.prompt_index[rows],
        completion_ids=pool.completion_ids[rows, :time],
        completion_mask=mask,
        ended_mask=pool.ended_mask[rows],
        # log q = log π_θ − log w, along the whole answer.
        behavior_logprobs=policy - _spread(drawn.log_weights.flatten()[rows], mask),
        policy_logprobs=policy,
        target_logprobs=pool.target_logprobs[rows, :time],
        alpha=everywhere(drawn.alpha),
        log_z=spread(drawn.log_z),
        ess_policy=everywhere(drawn.ess_policy),
        ess_target=everywhere(drawn.ess_target),
        kl_behavior_policy=spread(drawn.kl_policy),
        kl_behavior_target=spread(drawn.kl_target),
        uncovered_mass=everywhere(uncovered),
        info=pool.info,
    )
