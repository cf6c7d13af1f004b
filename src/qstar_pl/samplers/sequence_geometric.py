"""Sampling from the geometric mixture of whole answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.models.next_token import NextToken
from qstar_pl.qstar import AlphaStrategy, FixedAlpha, KLSymmetricAlpha
from qstar_pl.qstar.logprobs import sequence_logprobs
from qstar_pl.qstar.sequence_alpha import symmetric_sequence_alpha
from qstar_pl.rollout.engine import check_vocabularies, decode
from qstar_pl.rollout.finish import finish
from qstar_pl.rollout.heap import keep_freed_memory
from qstar_pl.rollout.law import POLICY, TARGET, Geometric
from qstar_pl.rollout.pace import Pace
from qstar_pl.rollout.streams import row_seed
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.samplers.killing import survivors
from qstar_pl.samplers.particles import resampled
from qstar_pl.samplers.sampler import Sampler
from qstar_pl.targets.target import Target
from qstar_pl.types import PromptBatch, Rollout, SamplerInfo


@dataclass(frozen=True, kw_only=True)
class SequenceGeometricSampler(Sampler):
    """q(y|x) = π_θ(y|x)^α π_t(y|x)^(1−α)/Z(x) over whole answers, drawn exactly; α is one number per prompt.

    Tries are drawn token by token and live on after each token with the probability Z_t of its context; survivors are
    draws of q, and a try survives with probability Z(x) (see `samplers/killing.py`). Z(x) falls exponentially with the
    length of answers: at several nats only sequential Monte Carlo is left. Answers that are cut at `max_new_tokens`
    belong to the law: q is over answers of at most that many tokens, and Z(x) is theirs.

    What `Rollout` then says. Of whole answers, to be read as sums along the answer: `behavior_logprobs` are
    α log π_θ + (1−α) log π_t − log Ẑ(x), and `log_z` is log Ẑ(x), both with Ẑ spread evenly over the tokens. With r
    survivors in n tries Ẑ = (r − 1)/(n − 1), unbiased and independent of the answers, so weights π_θ/q of whole answers
    average to 1; weights of single tokens mean nothing here, and methods refuse them. Of single tokens, exact over the
    vocabulary: ESS, both KLs and the uncovered mass are those of the token-wise mixture in the contexts that were
    visited, not of q. `info.facts` holds the prompt's `tries` and `survivors`; `info.discarded` counts the tokens of
    tries that died and of pilots.
    """

    alpha: AlphaStrategy = KLSymmetricAlpha()  # noqa: RUF009 (frozen)
    """FixedAlpha, or KLSymmetricAlpha: D(q‖π_θ) = D(q‖π_t) of whole answers, found per prompt with `pilot` answers."""
    pilot: int = 32
    """Answers per prompt, drawn from token-wise q*, that the KL-symmetric α is found with; none of them is kept."""
    survivors: int = 2
    """Least tries per prompt that must survive, at least 2: one alone says nothing about Z. More know it better."""
    max_tries: int = 256
    """Most tries per survivor, on average over a prompt's."""
    on_budget: Literal["raise", "smc"] = "raise"
    """Where that is too few. raise: stop. smc: sequential Monte Carlo for the prompt, which is not exact. Its Ẑ is
    unbiased; over all prompts Ẑ is too large where Z is near 1/max_tries, since prompts with bad luck change over."""
    particles: int = 32
    """Of each answer under smc, at least 2."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(2, survivors=self.survivors, particles=self.particles)
        at_least(1, pilot=self.pilot, max_tries=self.max_tries)
        if self.on_budget not in ("raise", "smc"):
            raise UserError(f"on_budget must be raise or smc, got {self.on_budget}")
        if not isinstance(self.alpha, FixedAlpha | KLSymmetricAlpha):
            raise UserError(
                f"alpha must be FixedAlpha or KLSymmetricAlpha for whole answers, got {type(self.alpha).__name__}"
            )
        if (self.temperature, self.top_k, self.top_p) != (1.0, None, None):
            given = f"temperature={self.temperature}, top_k={self.top_k}, top_p={self.top_p}"
            raise UserError(f"temperature, top_k and top_p must be left out for a law of whole answers, got {given}")

    @property
    def exact(self) -> bool:
        """See `Sampler.exact`: they follow q; log q is known up to the estimate of log Z."""
        return self.on_budget == "raise"

    @property
    def whole_answers(self) -> bool:
        """See `Sampler.whole_answers`."""
        return True

    @torch.no_grad()
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
        """See `Sampler.draw`.

        Raises:
            UserError: if a prompt has too few survivors among its tries, or a model cannot take tokens back.

        """
        tokens = self.next_tokens(target)
        _check_models(policy, tokens)
        keep_freed_memory()
        alpha, spent = self._alpha(prompts, policy, tokens, seed, pace)
        count = max(samples, self.survivors)
        limit = self.max_tries * count
        found = survivors(
            prompts,
            policy,
            tokens,
            alpha,
            count=count,
            seed=seed,
            max_new_tokens=self.max_new_tokens,
            limit=limit,
            give_up=self._give_up,
            pace=pace,
        )
        trace, ended = found.trace, found.ended_mask
        # The first survivors are the answers; the others only help to know Z.
        rows = torch.arange(len(ended), device=ended.device).view(len(prompts), count)[:, :samples].flatten()
        trace.select(rows)
        ended = ended[rows]
        index = torch.arange(len(prompts), device=ended.device).repeat_interleave(samples)
        tries = found.tries.to(ended.device)
        log_z = ((count - 1) / (tries - 1).double()).log()[index]
        survived = torch.full_like(tries, count)
        drawn = spent + found.drawn
        todo = list(found.given_up)
        while not pace.everyone(not todo):
            # With nothing left to do here, other processes still need company for their forward passes.
            prompt = todo.pop(0) if (busy := bool(todo)) else 0
            one = _only(prompts, prompt)
            chosen = resampled(
                one,
                policy,
                tokens,
                alpha[prompt : prompt + 1],
                sets=samples,
                particles=self.particles,
                seed=seed,
                max_new_tokens=self.max_new_tokens,
                pace=pace,
            )
            if busy:
                own = slice(prompt * samples, (prompt + 1) * samples)
                trace.replace(own, chosen.trace)
                ended[own], log_z[own], survived[prompt], tries[prompt] = chosen.ended_mask, chosen.log_z, 0, limit
                drawn += chosen.drawn
        info = SamplerInfo(
            exact=not found.given_up,
            seed=seed,
            discarded=drawn - int(trace.mask.sum()),
            facts={"tries": tries[index], "survivors": survived[index]},
        )
        law, models = Geometric(self.alpha), {POLICY: policy, TARGET: tokens}
        rollout = finish(trace, prompts, law, Truncation(), models, ended=ended, samples=samples, info=info)
        return _of_whole_answers(rollout, log_z)

    def _alpha(
        self, prompts: PromptBatch, policy: NextToken, target: NextToken, seed: int, pace: Pace
    ) -> tuple[Tensor, int]:
        """Return α [prompts] and the tokens that it cost."""
        if isinstance(self.alpha, FixedAlpha):
            return torch.full((len(prompts),), self.alpha.value, dtype=torch.float64), 0
        pool = decode(
            prompts,
            policy,
            target,
            Geometric(self.alpha),
            samples=self.pilot,
            # Other numbers than those of the tries, which have to be independent of α.
            seed=row_seed(seed, 0, 0, "pilot"),
            max_new_tokens=self.max_new_tokens,
            pace=pace,
        )
        sums = (
            sequence_logprobs(part.double(), pool.completion_mask).view(len(prompts), self.pilot)
            for part in (pool.policy_logprobs, pool.target_logprobs, pool.behavior_logprobs)
        )
        return symmetric_sequence_alpha(*sums), int(pool.completion_mask.sum())

    def _give_up(self, prompt: int) -> None:
        if self.on_budget == "raise":
            raise UserError(
                f"max_tries must be enough for answers to survive, got {self.max_tries} per answer, too few "
                f"for prompt {prompt + 1} of the batch: try on_budget=smc, or shorter answers than "
                f"max_new_tokens={self.max_new_tokens}"
            )


def _check_models(policy: NextToken, target: NextToken) -> None:
    check_vocabularies(policy, target)
    if not (policy.rewinds and target.rewinds):
        raise UserError(
            "policy and target must keep a key-value cache that can be cut for SequenceGeometricSampler, which begins "
            f"answers anew, got {'a target' if policy.rewinds else 'a policy'} that does not"
        )


def _only(prompts: PromptBatch, row: int) -> PromptBatch:
    """Return one prompt, without the pads that it does not need."""
    ids, mask = prompts.prompt_ids[row : row + 1], prompts.prompt_mask[row : row + 1]
    length = int(mask.sum())
    return PromptBatch(
        ids[:, -length:], mask[:, -length:], prompts.keys[row : row + 1], prompts.examples[row : row + 1]
    )


def _of_whole_answers(rollout: Rollout, log_z: Tensor) -> Rollout:
    """Return a rollout of the token-wise mixture with log q and log Z of whole answers, given log Z(x) [rows]."""
    mask, own = rollout.completion_mask, rollout.behavior_logprobs
    spread = torch.where(mask, (log_z / mask.sum(-1)).unsqueeze(-1), 0.0)
    # log π_θ^α π_t^(1−α) of a token is what the token-wise mixture made of it, with its log Z taken back.
    whole = (own + rollout.log_z - spread).to(own.dtype)
    return replace(rollout, behavior_logprobs=whole, log_z=spread.to(own.dtype))
