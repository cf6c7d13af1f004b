"""What is kept of a rollout beside its texts: means per answer, and on demand every token."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qstar_pl.qstar.masking import masked_sum
from qstar_pl.rollout.row_numbers import ROW_NUMBERS
from qstar_pl.rollout.streams import row_seed
from qstar_pl.types import Rollout

TARGET_COLUMNS = ("alpha", "ess_ratio", "ess_t", "kl_t", "log_z", "logprob_t")
"""Per-token quantities that exist only where there is a π_t."""


def ess_ratios(rollout: Rollout) -> Tensor:
    """Return ESS_θ(q)/ESS_t(q) [rows, time] per token, exact over the vocabulary; 0 at pads.

    NaN where it is 0/0: where truncation (top-k, top-p) took a token from q that both models can produce, both sizes
    are 0 by definition. On full support it is never NaN.
    """
    return torch.where(rollout.completion_mask, rollout.ess_policy / rollout.ess_target, 0.0)


def acceptances(rollout: Rollout) -> Tensor:
    """Return min(1, π_θ(y)/q(y)) [rows, time] of the drawn tokens; 0 at pads.

    Since y comes from q, its expectation is Σ_y min(π_θ(y), q(y)) = 1 − TV(π_θ, q): the chance that a token drafted
    by π_θ is accepted under q (Leviathan et al. 2023, https://arxiv.org/abs/2211.17192). The estimate costs no pass
    over the vocabulary.
    """
    ratio = (rollout.policy_logprobs - rollout.behavior_logprobs).clamp_max(0.0).exp()
    return torch.where(rollout.completion_mask, ratio, 0.0)


def token_columns(rollout: Rollout, *, target: bool) -> dict[str, Tensor]:
    """Return the per-token quantities [rows, time] by name, in nats where they are logarithms or KL.

    Args:
        rollout: on any device.
        target: whether there is a π_t; without one, what compares q with it is left out.

    """
    columns = {
        "alpha": rollout.alpha,
        "ess_ratio": ess_ratios(rollout),
        "ess_theta": rollout.ess_policy,
        "ess_t": rollout.ess_target,
        "kl_theta": rollout.kl_behavior_policy,
        "kl_t": rollout.kl_behavior_target,
        "acceptance": acceptances(rollout),
        "log_z": rollout.log_z,
        "logprob_q": rollout.behavior_logprobs,
        "logprob_theta": rollout.policy_logprobs,
        "logprob_t": rollout.target_logprobs,
        "uncovered_mass": rollout.uncovered_mass,
    }
    return {name: column for name, column in columns.items() if target or name not in TARGET_COLUMNS}


def row_diagnostics(
    rollout: Rollout, *, samples: int, target: bool, constants: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return one dictionary per answer: means and deviations over its tokens, sums, seed, `constants`.

    `ess_ratio` is Σ ESS_θ / Σ ESS_t over the answer's tokens, as training's `ess/ratio` is over a step's; the mean of
    the tokens' own ratios, `ess_ratio_mean`, is another number, which a few tokens can carry anywhere.
    `kl_gap_mean` is the mean of |D(q‖π_θ) − D(q‖π_t)| over tokens. Deviations divide by the number of tokens. A
    quantity that has no value (see `ess_ratios`) counts in neither; if no token has one, it is None, as is all that
    compares with π_t where there is none. Numbers are rounded to six digits. What the sampler knows beside
    (`SamplerInfo.facts`) stands behind them.
    """
    # One transfer, and not one for each number that is written.
    rollout = rollout.to("cpu")
    columns = {name: column.double() for name, column in token_columns(rollout, target=target).items()}
    if target:
        columns["kl_gap"] = (columns["kl_theta"] - columns["kl_t"]).abs()
    mask = rollout.completion_mask
    numbers: dict[str, list[float]] = {}
    for name, column in columns.items():
        moments = _moments(column, mask)
        numbers |= {f"{name}_{kind}": values.tolist() for kind, values in moments.items()}
    if target:
        ratio = masked_sum(columns["ess_theta"], mask, dim=-1) / masked_sum(columns["ess_t"], mask, dim=-1)
        numbers["ess_ratio"] = ratio.tolist()
    # Rows of one prompt are adjacent, so row % samples numbers a prompt's answers.
    keys = rollout.prompts.keys[rollout.prompt_index].tolist()
    tokens, ended = mask.sum(-1).tolist(), rollout.ended_mask.tolist()
    return [
        {
            "key": key,
            "answer_idx": row % samples,
            "tokens": tokens[row],
            "ended": ended[row],
            **{name: six_digits(numbers[name][row]) if name in numbers else None for name in ROW_NUMBERS},
            **{name: int(values[row]) for name, values in rollout.info.facts.items()},
            "seed": row_seed(rollout.info.seed, key, row % samples),
            **constants,
        }
        for row, key in enumerate(keys)
    ]


def token_diagnostics(rollout: Rollout, *, target: bool) -> list[dict[str, list[Any]]]:
    """Return one dictionary per answer of lists over its tokens: `token_id` and the columns of `token_columns`."""
    rollout = rollout.to("cpu")
    columns = token_columns(rollout, target=target)
    return [
        {
            "token_id": rollout.completion_ids[row][mask].tolist(),
            **{name: [_nine_digits(x) for x in column[row][mask].tolist()] for name, column in columns.items()},
        }
        for row, mask in enumerate(rollout.completion_mask)
    ]


def _moments(values: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Return mean, standard deviation and sum [rows] over the tokens of `mask` that have a value; NaN without any."""
    # Tokens without a value are 0/0; see `ess_ratios`.
    counted_mask = mask & ~values.isnan()
    values = torch.where(counted_mask, values, 0.0)
    count = counted_mask.sum(-1)
    mean = values.sum(-1) / count
    # Not E[x²] − E[x]², a difference of large numbers in which a small deviation is lost.
    squares = torch.where(counted_mask, (values - mean.unsqueeze(-1)).square(), 0.0)
    return {"mean": mean, "std": (squares.sum(-1) / count).sqrt(), "sum": values.sum(-1)}


def six_digits(value: float) -> float | None:
    """Return `value` as it is written: None for NaN and infinity, which JSON lacks."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _nine_digits(value: float) -> float | None:
    return float(f"{value:.9g}") if math.isfinite(value) else None  # enough to give the same float32 back
