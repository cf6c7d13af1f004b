"""How fast and how exact the α solver is: `OMP_NUM_THREADS=2 python benchmarks/solver.py`.

Prints (1) the time of one solve and of solve + mixture against the naive 20-step bisection of the same run, float32,
(2) passes over the vocabulary and the true KL gap (re-evaluated in float64) for every family of pairs, and (3) the
ratio ESS_θ/ESS_t at the KL-symmetric and at the ESS-balanced α.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from pairs import language_model_logits, pair_families
from torch import Tensor

from qstar_pl.qstar import (
    KLSymmetricAlpha,
    geometric_mixture,
    log_ess,
    solve_ess_balance,
    solve_kl_symmetry,
)


def naive_bisection(policy: Tensor, target: Tensor, steps: int = 20) -> Tensor:
    """Return α [rows] by halving [0, 1]: a log-softmax of the mixture and two divergences per step."""
    low, high = torch.zeros_like(policy[:, 0]), torch.ones_like(policy[:, 0])
    for _ in range(steps):
        alpha = 0.5 * (low + high)
        logprobs = (alpha[:, None] * policy + (1 - alpha[:, None]) * target).log_softmax(-1)
        probs = logprobs.exp()
        kl_policy = (probs * (logprobs - policy)).sum(-1)
        kl_target = (probs * (logprobs - target)).sum(-1)
        low, high = torch.where(kl_policy > kl_target, alpha, low), torch.where(kl_policy > kl_target, high, alpha)
    return 0.5 * (low + high)


def fastest_ms(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    """Return the shortest time of each function; taking turns, so that a busy machine disturbs them alike."""
    best = [float("inf")] * len(functions)
    for turn in range(repeats + 1):
        for index, function in enumerate(functions):
            start = time.perf_counter()
            function()
            elapsed = 1e3 * (time.perf_counter() - start)
            best[index] = min(best[index], elapsed) if turn else best[index]  # the first turn warms up
    return best


def print_speed(vocab: int, batches: list[int], tol: float, repeats: int) -> None:
    threads = torch.get_num_threads()
    print(f"(1) fastest of {repeats} turns, ms: float32, V={vocab}, {threads} threads, tol={tol:g}, log-ratio s.d. 1")
    print(f"{'rows':>6}{'naive':>10}{'solve':>10}{'ratio':>8}{'solve+mix':>12}{'ratio':>8}{'max |dα|':>11}")
    for rows in batches:
        generator = torch.Generator().manual_seed(rows)
        logits = language_model_logits(rows, vocab, generator)
        noise = torch.randn(rows, vocab, generator=generator, dtype=torch.float64)
        policy, target = logits.log_softmax(-1).float(), (logits + noise).log_softmax(-1).float()
        naive, solve, mix = fastest_ms(
            [
                partial(naive_bisection, policy, target),
                partial(solve_kl_symmetry, policy, target, tol=tol),
                partial(KLSymmetricAlpha(tol=tol).mix, policy, target),
            ],
            repeats,
        )
        off = (naive_bisection(policy, target) - solve_kl_symmetry(policy, target, tol=tol).alpha).abs().max()
        ratios = f"{solve:10.2f}{naive / solve:7.1f}x{mix:12.2f}{naive / mix:7.1f}x"
        print(f"{rows:6d}{naive:10.2f}{ratios}{off.item():11.1e}")


def true_gap(policy: Tensor, target: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Return |D(q‖π_θ) − D(q‖π_t)| [rows] in float64 at `alpha`, and how far one unit in α's last place moves it.

    The gap's derivative is Var_q(log π_θ/π_t), so no float32 α can be trusted to solve better than Var · ulp(α).
    """
    policy, target = policy.double(), target.double()
    mixture = geometric_mixture(policy, target, alpha.double())
    covered_mask = (policy > -torch.inf) & (target > -torch.inf)
    log_ratio = torch.where(covered_mask, policy - target, 0.0)
    q = mixture.logprobs.exp()
    mean = (q * log_ratio).sum(-1)
    variance = (q * (log_ratio - mean.unsqueeze(-1)).square()).sum(-1)
    ulp = torch.nextafter(alpha, alpha.new_ones(())) - alpha
    return mean.abs(), variance * ulp.double()


def print_families(rows: int, vocab: int, tol: float) -> None:
    print(f"\n(2) float32, tol={tol:g}, {rows} rows per family, V={vocab}; true gap in float64 on the common support")
    print("    met: gap ≤ tol, or within one unit in the last place of the float32 α (ulp: what that moves the gap)")
    print("(3) ESS ratio θ/t on the common support, median and range over rows")
    header = f"{'pair':15}{'passes mean/max':>16}{'true gap':>10}{'reported':>10}{'ulp':>10}{'met':>5}"
    print(header + f"{'C':>8}{'α_KL':>7}{'α_ESS':>7}{'ESS ratio at α_KL':>26}{'at α_ESS':>26}")
    for name, pair in pair_families(rows, vocab).items():
        policy, target = pair[0].float(), pair[1].float()
        kl, balanced = solve_kl_symmetry(policy, target, tol=tol), solve_ess_balance(policy, target, tol=tol)
        gaps, ulps = true_gap(policy, target, kl.alpha)
        gap, met = gaps.max().item(), bool((gaps <= ulps.clamp(min=tol)).all())
        passes = kl.iterations.double()
        left = f"{name:15}{passes.mean().item():14.1f}/{int(passes.max())}{gap:10.1e}"
        left += f"{kl.kl_gap.abs().max().item():10.1e}{ulps.max().item():10.1e}"
        left += f"{'yes' if met else 'no':>5}{-kl.log_z.mean().item():8.3f}"
        left += f"{kl.alpha.mean().item():7.3f}{balanced.alpha.mean().item():7.3f}"
        print(left + "".join(f"{ess_ratio(policy, target, alpha):>26}" for alpha in (kl.alpha, balanced.alpha)))


def ess_ratio(policy: Tensor, target: Tensor, alpha: Tensor) -> str:
    """Return median [min, max] of ESS_θ/ESS_t at `alpha`, both normalised on the common support."""
    uncovered_mask = (policy == -torch.inf) | (target == -torch.inf)
    policy = policy.double().masked_fill(uncovered_mask, -torch.inf).log_softmax(-1)
    target = target.double().masked_fill(uncovered_mask, -torch.inf).log_softmax(-1)
    logprobs = geometric_mixture(policy, target, alpha.double()).logprobs
    ratio = (log_ess(policy, logprobs) - log_ess(target, logprobs)).exp()
    return f"{ratio.median().item():.4f} [{ratio.min().item():.4f}, {ratio.max().item():.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocab", type=int, default=50257)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 16, 64])
    parser.add_argument("--family-rows", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--tol", type=float, default=1e-4)
    options = parser.parse_args()
    print_speed(options.vocab, options.rows, options.tol, options.repeats)
    print_families(options.family_rows, options.vocab, options.tol)


if __name__ == "__main__":
    main()
