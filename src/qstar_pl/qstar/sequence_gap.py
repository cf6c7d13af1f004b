"""How far a law of answers that is built token by token is from the normalized mixture of whole answers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.qstar.masking import masked_sum


@dataclass(frozen=True)
class SequenceGaps:
    """Estimates of D(q‖q_seq), nats, one per prompt [prompts]; 0 where `counted_mask` is False."""

    plug_in: Tensor
    """log (1/n Σ e^S) − (1/n) Σ S: never negative, and too small on average."""
    jackknife: Tensor
    """The same without its bias of order 1/n (Quenouille 1956); never below `plug_in`, since log is concave."""
    counted_mask: Tensor
    """[prompts] bool: prompts with at least two answers; a single one says nothing."""


def log_densities(policy: Tensor, target: Tensor, behavior: Tensor, alpha: Tensor, mask: Tensor) -> Tensor:
    """Return S = Σ_t log [π_θ(y_t)^α π_t(y_t)^(1−α) / q(y_t)] of each answer [rows], nats.

    e^S is the unnormalized mixture of whole answers divided by the law q that they were drawn from. Where q is the
    mixture itself, normalized at every token, S = Σ_t log Z_t.

    Args:
        policy: [rows, time] log π_θ(y_t).
        target: [rows, time] log π_t(y_t).
        behavior: [rows, time] log q(y_t), finite where `mask` is True.
        alpha: [rows, time] exponent of π_θ.
        mask: [rows, time] bool.

    """
    # An exponent of 0 takes a model out, even where its log-probability is −inf (0 · −inf is NaN).
    from_policy = torch.where(alpha == 0, 0.0, alpha * policy)
    from_target = torch.where(alpha == 1, 0.0, (1 - alpha) * target)
    return masked_sum(from_policy + from_target - behavior, mask, dim=-1)


def sequence_gaps(log_densities: Tensor, prompt_index: Tensor, prompts: int, mask: Tensor) -> SequenceGaps:
    """Estimate D(q‖q_seq) = log E_q[e^S] − E_q[S] of every prompt from n answers drawn from q.

    q_seq ∝ q e^S is the mixture of whole answers. E_q[S] alone says nothing of the gap: where S is the same for all
    answers (independent tokens), q is q_seq whatever S is. By Jensen the plug-in estimate is below the truth on
    average, by Var(e^S) / (2n E[e^S]²) to first order, and rises with n; the jackknife takes that term out. Where S
    varies by several nats neither can know the mean of e^S from few answers, and both are too small.

    Args:
        log_densities: [rows] S, nats.
        prompt_index: [rows] int64 in [0, prompts), the prompt of each answer.
        prompts: number of prompts.
        mask: [rows] bool, which answers count.

    """
    dtype = log_densities.dtype

    def summed(values: Tensor) -> Tensor:
        return values.new_zeros(prompts).index_add(0, prompt_index, torch.where(mask, values, 0.0))

    counts = summed(torch.ones_like(log_densities))
    counted_mask = counts >= 2
    safe = counts.clamp_min(2.0)  # prompts with fewer are masked in the end
    mean = summed(log_densities) / safe
    total, others = _log_sums(torch.where(mask, log_densities, -torch.inf), prompt_index, prompts)
    log_mean = total - safe.log()
    # The jackknife is n · (estimate from all) − (n − 1) · (mean of the estimates without one answer). The second needs
    # log E[e^S] without answer i; the mean of S is linear, and stays itself.
    of_others = summed(others - (safe[prompt_index] - 1).log()) / safe
    estimates = (log_mean - mean, safe * log_mean - (safe - 1) * of_others - mean)
    plug_in, jackknife = (torch.where(counted_mask, estimate, 0.0).to(dtype) for estimate in estimates)
    return SequenceGaps(plug_in, jackknife, counted_mask)


def _log_sums(values: Tensor, group: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Return log Σ exp(values) of each group [groups], and for each row [rows] that of the other rows of its group."""
    none = values.new_full((groups,), -torch.inf)
    top = none.scatter_reduce(0, group, values, "amax")
    # The largest row of each group (the first, if tied) is kept apart: subtracting it from the sum could leave nothing
    # but rounding.
    rows = torch.arange(len(values), device=values.device)
    is_top = values == top[group]
    first = torch.full((groups,), len(values), device=values.device).scatter_reduce(
        0, group, torch.where(is_top, rows, len(values)), "amin"
    )
    is_first = rows == first[group]
    rest = torch.where(is_first, -torch.inf, values)
    second = none.scatter_reduce(0, group, rest, "amax")

    def log_sum(terms: Tensor, highest: Tensor) -> Tensor:
        shift = torch.where(highest.isfinite(), highest, 0.0)  # an empty group has −inf, and −inf − (−inf) is NaN
        sums = terms.new_zeros(groups).index_add(0, group, (terms - shift[group]).exp())
        return shift + sums.log()

    of_rest = log_sum(rest, second)
    total = torch.logaddexp(top, of_rest)
    share = torch.where(is_first, -torch.inf, values - total[group])  # at most ½, so log1p keeps its digits
    return total, torch.where(is_first, of_rest[group], total[group] + torch.log1p(-share.exp()))
