"""The standard error of a mean whose rows depend on each other within groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qstar_pl.evaluation.statistics.rows import Floats, Rows


@dataclass(frozen=True)
class ClusteredError:
    """A standard error and how well it is known."""

    error: float
    freedom: float
    """Degrees of freedom."""

    def quantile(self, confidence: float) -> float:
        """Return how many standard errors an interval reaches to either side."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, (1 + confidence) / 2))


def clustered_error(rows: Rows) -> ClusteredError:
    """Return the CR2 standard error of the mean of `rows.values[:, 0]`, of at least two groups.

    With N rows, n_g of them in group g, and S_g the sum of its residuals: Var = Σ_g S_g²/(1 − n_g/N) / N². The degrees
    of freedom are those of Bell & McCaffrey 2002, (Σλ)²/Σλ² over the eigenvalues of the quadratic form, at answers
    that are independent within a prompt and at answers that are all alike; the smaller of the two is taken.
    """
    column, sizes = rows.values[:, 0], rows.sizes
    total = float(len(column))
    residuals = np.bincount(rows.codes, weights=column - column.mean(), minlength=rows.groups)
    correction = 1 / (1 - sizes / total)
    variance = float((residuals**2 * correction).sum() / total**2)
    scale = max(abs(float(column.min())), abs(float(column.max())))
    if variance <= (1e-13 * scale) ** 2:  # what rounding leaves of equal numbers
        variance = 0.0
    freedom = min(_freedom(sizes, 0.0), _freedom(sizes, 1.0))
    return ClusteredError(float(np.sqrt(variance)), freedom)


def _freedom(sizes: Floats, alike: float) -> float:
    """Return the degrees of freedom if answers to one prompt correlate by `alike`.

    The form is C^½ A C^½ with C = diag(1/(1 − n_g/N)) and A the covariance of the groups' residual sums, which is a
    diagonal plus a matrix of rank 2: no groups × groups matrix is made.
    """
    total = sizes.sum()
    spread = (1 - alike) * sizes + alike * sizes**2  # variance of a group's sum
    correction = 1 / (1 - sizes / total)
    diagonal = correction * spread
    factors = np.sqrt(correction)[:, None] * np.stack((spread, sizes), axis=1)
    kernel = np.array([[0.0, -1 / total], [-1 / total, spread.sum() / total**2]])
    low_rank = np.einsum("gi,ij,gj->g", factors, kernel, factors)  # the diagonal of that part
    product = kernel @ (factors.T @ factors)
    trace = diagonal.sum() + low_rank.sum()
    squares = (diagonal**2).sum() + 2 * (diagonal * low_rank).sum() + np.trace(product @ product)
    return float(trace**2 / squares)
