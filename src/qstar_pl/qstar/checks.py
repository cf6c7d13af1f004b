"""Refuse what is not a distribution: a wrong exponent or divergence would look like any other number."""

import math
from functools import partial

import torch
from torch import Tensor

from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.qstar.deferred import Deferred, current, raising
from qstar_pl.qstar.logsumexp import logsumexp
from qstar_pl.qstar.tensors import require_tensors

# How far log Σ p may lie from 0, nats: the rounding of log-probabilities to bfloat16 stays below it.
SLACK = 0.05


def check_logprobs(**named: Tensor) -> None:
    """Raise a UserError that names the argument and the row [...] unless all are log-probabilities [..., V].

    That is: Σ exp is 1 up to rounding, over whatever support a row has. NaN, raw logits, unnormalized truncations and
    rows of −inf are refused. Costs a pass per argument, and a wait for its device.
    """
    require_tensors(**named)
    for name, logprobs in named.items():
        logprobs = logprobs.detach()
        log_total = _log_total(logprobs)
        wrong_mask = ~(log_total.abs() < SLACK)  # also True for NaN
        if (deferred := current()) is not None:
            note_nan(deferred, **{name: logprobs})
            deferred.note(name, wrong_mask, raising(partial(_unnormalized, name)))
        elif bool(wrong_mask.any()):
            row = tuple(wrong_mask.nonzero()[0].tolist())
            raise not_logprobs(name, row, logsumexp(at_least_float32(logprobs[row])).item())


def not_logprobs(name: str, row: tuple[int, ...], log_total: float) -> UserError:
    """Say what is wrong with a row, given by its index in the leading dimensions."""
    where = f" in row {row[0] if len(row) == 1 else row}" if row else ""
    kind = NonFiniteError if math.isnan(log_total) else UserError
    return kind(f"{name} must be log-probabilities (log_softmax of logits), got log Σ exp = {log_total:.4g}{where}")


def note_nan(deferred: Deferred, **named: Tensor) -> None:
    """Note the rows of NaN of log-probabilities [..., V]; log_softmax makes one of a single NaN."""
    for name, logprobs in named.items():
        deferred.note(
            f"NaN in {name}",
            logprobs[..., 0].isnan(),
            raising(lambda places, name=name: not_logprobs(name, places[0], math.nan)),  # type: ignore[misc]
        )


def _unnormalized(name: str, places: list[tuple[int, ...]]) -> UserError:
    return UserError(
        f"{name} must be log-probabilities (log_softmax of logits), got others in (row, position) {places[0]}"
    )


def at_least_float32(values: Tensor) -> Tensor:
    """Return half precision as float32, and other values as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _log_total(logprobs: Tensor) -> Tensor:
    """Return log Σ exp [...], NaN for a row of −inf; softmax is the fastest loop for it on a CPU."""
    values = at_least_float32(logprobs)
    # The largest softmax is exp(largest − log Σ exp).
    return values.amax(-1) - values.softmax(-1).amax(-1).log()
