"""Strategies for the exponent α of the mixture, as YAML names them."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from qstar_pl.checks import at_least, positive, within
from qstar_pl.errors import UserError
from qstar_pl.qstar.bisection import bisect_kl_symmetry
from qstar_pl.qstar.compiled import mix_kl_symmetric_compiled
from qstar_pl.qstar.deferred import current
from qstar_pl.qstar.entropy import entropy_alpha
from qstar_pl.qstar.ess_balance import solve_ess_balance
from qstar_pl.qstar.kl_symmetry import mix_kl_symmetric, solve_kl_symmetry
from qstar_pl.qstar.mixture import Mixture, geometric_mixture
from qstar_pl.qstar.snr import solve_snr
from qstar_pl.qstar.solution import AlphaSolution
from qstar_pl.qstar.tensors import require_tensors


@dataclass(frozen=True)
class AlphaStrategy(ABC):
    """Chooses the exponent of the policy in the geometric mixture, per context."""

    @abstractmethod
    def __call__(self, policy_logprobs: Tensor, target_logprobs: Tensor, *, normalised: bool = False) -> Tensor:
        """Return α [...] in [0, 1] (1: the policy, 0: the target) for log-probabilities [..., V]; no gradient flows.

        Rows that are not normalized are a UserError where they change α; `normalised` skips the check for rows that
        come straight from log_softmax.
        """

    def mix(
        self, policy_logprobs: Tensor, target_logprobs: Tensor, *, normalised: bool = False
    ) -> tuple[Tensor, Mixture]:
        """Return α [...] and the mixture at it; strategies that know log Z already do this in fewer passes."""
        alpha = self(policy_logprobs, target_logprobs, normalised=normalised)
        return alpha, geometric_mixture(policy_logprobs, target_logprobs, alpha)


@dataclass(frozen=True)
class FixedAlpha(AlphaStrategy):
    """The same α in every context."""

    value: float = 0.5
    """Exponent of the policy, in [0, 1]: 1 samples the policy, 0 the target."""

    def __post_init__(self) -> None:
        within("[0, 1]", value=self.value)

    def __call__(self, policy_logprobs: Tensor, target_logprobs: Tensor, *, normalised: bool = False) -> Tensor:
        """See `AlphaStrategy.__call__`."""
        require_tensors(policy_logprobs=policy_logprobs, target_logprobs=target_logprobs)
        dtype = torch.promote_types(policy_logprobs.dtype, torch.float32)  # as from a solver, also in half precision
        return torch.full(policy_logprobs.shape[:-1], self.value, dtype=dtype, device=policy_logprobs.device)


@dataclass(frozen=True)
class EntropyAlpha(AlphaStrategy):
    """α = H(π_θ)/(H(π_θ) + H(π_t)), see `entropy_alpha`."""

    def __call__(self, policy_logprobs: Tensor, target_logprobs: Tensor, *, normalised: bool = False) -> Tensor:
        """See `AlphaStrategy.__call__`."""
        with torch.no_grad():
            return entropy_alpha(policy_logprobs, target_logprobs, normalised=normalised)


@dataclass(frozen=True)
class SolvedAlpha(AlphaStrategy, ABC):
    """An α that is the root of a criterion."""

    tol: float = 1e-3
    """Largest error of α that is left, by the solver's own estimate."""
    max_iter: int = 20
    """Most passes over the vocabulary per context; a warning tells of contexts that needed more."""
    on_disjoint: Literal["raise", "policy", "target"] = "raise"
    """What to sample where policy and target share no token: an error, the policy (α = 1) or the target (α = 0)."""

    def __post_init__(self) -> None:
        positive(tol=self.tol)
        at_least(1, max_iter=self.max_iter)
        if self.on_disjoint not in ("raise", "policy", "target"):
            raise UserError(f"on_disjoint must be raise, policy or target, got {self.on_disjoint}")

    @abstractmethod
    def solver_function(self) -> Callable[..., AlphaSolution]:
        """Return the function that solves the criterion; its keywords are the fields above."""

    def solve(self, policy_logprobs: Tensor, target_logprobs: Tensor, *, normalised: bool = False) -> AlphaSolution:
        """Return α [...] with how well it solves the criterion."""
        return self.solver_function()(policy_logprobs, target_logprobs, normalised=normalised, **self._limits())

    def _limits(self) -> dict[str, Any]:
        return {"tol": self.tol, "max_iter": self.max_iter, "on_disjoint": self.on_disjoint}

    def __call__(self, policy_logprobs: Tensor, target_logprobs: Tensor, *, normalised: bool = False) -> Tensor:
        """See `AlphaStrategy.__call__`; warns of rows that did not converge."""
        return self._reported(self.solve(policy_logprobs, target_logprobs, normalised=normalised))

    def _reported(self, solution: AlphaSolution) -> Tensor:
        self.report(solution.converged)
        return solution.alpha

    def report(self, converged: Tensor) -> None:
        """Warn of contexts [...] that did not converge, or note them where checks are deferred."""
        if (deferred := current()) is not None:
            deferred.note("convergence", ~converged, self._report)
        elif unfinished := converged.numel() - int(converged.sum()):
            self._warn(unfinished, converged.numel(), f"max_iter={self.max_iter}")

    def _report(self, places: list[tuple[int, ...]], contexts: int) -> None:
        self._warn(len(places), contexts, "the fixed number of")

    def _warn(self, unfinished: int, contexts: int, after: str) -> None:
        warnings.warn(
            f"{type(self).__name__}: {unfinished} of {contexts} contexts are not within "
            f"tol={self.tol} after {after} passes",
            RuntimeWarning,
            stacklevel=5,  # whoever called the strategy
        )


@dataclass(frozen=True)
class KLSymmetricAlpha(SolvedAlpha):
    """α* with D(q‖π_θ) = D(q‖π_t), see `solve_kl_symmetry`: the q* of this project."""

    solver: Literal["newton", "compiled", "bisection"] = "newton"
    """newton: safeguarded third-order steps, 1–2 passes. compiled: the same with the first pass and the mixture as one
    graph of torch.compile (a C++ compiler, half a minute at the start; α to well below tol); in decoding on a CPU, all
    that a token costs beside the models. bisection: max_iter halvings, the slow reference."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.solver not in ("newton", "compiled", "bisection"):
            raise UserError(f"solver must be newton, compiled or bisection, got {self.solver}")

    def solver_function(self) -> Callable[..., AlphaSolution]:
        """See `SolvedAlpha.solver_function`."""
        return bisect_kl_symmetry if self.solver == "bisection" else solve_kl_symmetry

    def mix(
        self, policy_logprobs: Tensor, target_logprobs: Tensor, *, normalised: bool = False
    ) -> tuple[Tensor, Mixture]:
        """See `AlphaStrategy.mix`; the solver's log Z saves a pass where no gradient is asked for."""
        # α carries no gradient, but the mixture at it must: the solver's own one is detached.
        needs_grad = torch.is_grad_enabled() and (policy_logprobs.requires_grad or target_logprobs.requires_grad)
        if needs_grad or self.solver == "bisection":
            return super().mix(policy_logprobs, target_logprobs, normalised=normalised)
        mix = mix_kl_symmetric_compiled if self.solver == "compiled" else mix_kl_symmetric
        solution, mixture = mix(policy_logprobs, target_logprobs, normalised=normalised, **self._limits())
        return self._reported(solution), mixture


@dataclass(frozen=True)
class ESSBalanceAlpha(SolvedAlpha):
    """α with ESS_θ = ESS_t, see `solve_ess_balance`."""

    def solver_function(self) -> Callable[..., AlphaSolution]:
        """See `SolvedAlpha.solver_function`."""
        return solve_ess_balance


@dataclass(frozen=True)
class SNRAlpha(SolvedAlpha):
    """α of the least second moment of the importance-weighted gradient, see `solve_snr`."""

    def solver_function(self) -> Callable[..., AlphaSolution]:
        """See `SolvedAlpha.solver_function`."""
        return solve_snr
