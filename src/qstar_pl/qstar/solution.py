"""What every α solver returns: the exponent, how good it is, and what kind of row it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.qstar.deferred import current, raising


class AlphaStatus(IntEnum):
    """What a row of a solution is."""

    OK = 0
    """α is a root in (0, 1)."""
    IDENTICAL = 1
    """π_θ = π_t up to rounding: every α solves; 0.5 is returned."""
    BOUNDARY = 2
    """There is no root in [0, 1] (for KL symmetry and ESS balance: the supports differ): α is the end nearest to one,
    0 (q = π_t) or 1 (q = π_θ); `kl_gap` is its limit from inside, on the common support."""
    DISJOINT = 3
    """No token has probability under both: there is no q; α is the fallback that the caller asked for."""


class DisjointSupportError(UserError):
    """Some rows have no token that both distributions can produce, so their mixture does not exist."""

    def __init__(self, rows: Sequence[tuple[int, ...]]) -> None:
        self.rows = tuple(rows)
        """Indices of those rows in the leading dimensions of the arguments."""
        named = ", ".join(str(row[0] if len(row) == 1 else row) for row in self.rows[:8])
        more = f" and {len(self.rows) - 8} more" if len(self.rows) > 8 else ""
        super().__init__(
            "policy_logprobs and target_logprobs must share a token of positive probability in every row, "
            f"got disjoint supports in row {named}{more}; on_disjoint='policy' or 'target' falls back to one of them"
        )

    @classmethod
    def from_mask(cls, disjoint_mask: Tensor) -> DisjointSupportError:
        """Name the rows where `disjoint_mask` [...] is True."""
        return cls([tuple(row) for row in disjoint_mask.nonzero().tolist()])


def refuse_disjoint(disjoint_mask: Tensor) -> None:
    """Raise a DisjointSupportError if a row of `disjoint_mask` [...] is True, or note it where checks are deferred."""
    if (deferred := current()) is not None:
        deferred.note("common support", disjoint_mask, raising(DisjointSupportError))
    elif bool(disjoint_mask.any()):
        raise DisjointSupportError.from_mask(disjoint_mask)


@dataclass(frozen=True)
class AlphaSolution:
    """The exponents of a batch of contexts; every field has the leading shape [...] of the arguments."""

    alpha: Tensor
    """Exponent of π_θ in the mixture, in [0, 1]."""
    kl_gap: Tensor
    """D(q‖π_θ) − D(q‖π_t) = −Λ'(α) at `alpha`, nats; on the common support where the supports differ. The KL solver
    carries it along its last step: off by about what the error of α is worth, tol · Var_q(log π_θ/π_t)."""
    iterations: Tensor
    """int64: passes over the vocabulary that the row took (the look at both ends of a restricted row and the search for
    what log_softmax rounded away are not counted)."""
    converged: Tensor
    """bool: False where `max_iter` ran out before α was known to the tolerance, or as well as rounding allows. True
    on BOUNDARY and DISJOINT rows: there is nothing left to iterate, and `status` says why `kl_gap` is not small."""
    status: Tensor
    """int64, an `AlphaStatus`."""
    log_z: Tensor
    """log Z_α of the mixture at `alpha`, nats, ≤ 0; −log_z is the Chernoff information where the KLs are equal. The KL
    solver carries it along its last step, to some 1e-5 nats at the default tolerance; `mix_kl_symmetric` sums it."""

    def reshape(self, shape: Sequence[int]) -> AlphaSolution:
        """Return the solution with every field in another shape."""
        if self.alpha.shape == tuple(shape):
            return self
        return AlphaSolution(**{f.name: getattr(self, f.name).reshape(shape) for f in fields(self)})

    def clone(self) -> AlphaSolution:
        """Return a copy."""
        return AlphaSolution(**{f.name: getattr(self, f.name).clone() for f in fields(self)})

    def index_copy(self, rows: Tensor, other: AlphaSolution) -> AlphaSolution:
        """Return the solution with `rows` [n] replaced by those of `other` [n]."""
        return AlphaSolution(
            **{f.name: getattr(self, f.name).index_copy(0, rows, getattr(other, f.name)) for f in fields(self)}
        )

    @staticmethod
    def cat(parts: Sequence[AlphaSolution]) -> AlphaSolution:
        """Join solutions of consecutive rows."""
        if len(parts) == 1:
            return parts[0]
        return AlphaSolution(
            **{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(AlphaSolution)}
        )
