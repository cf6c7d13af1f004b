"""How fast and how exact the α solver is: `OMP_NUM_THREADS=2 python benchmarks/solver.py [--device cuda]`.

Needs nothing but torch. Prints (1) the time of one solve and of solve + mixture against the naive 20-step bisection of
the same run, and of both at once with the first pass compiled (`solver: compiled`; `--no-compiled` without), for
log-ratios of 1 nat and for nearly certain models (on CUDA also how often the host waits), (2) passes over the
vocabulary, the error of α and the true KL gap (in float64) for every family of pairs, and (3) the ratio ESS_θ/ESS_t at
the KL-symmetric and at the ESS-balanced α.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial

import torch
from pairs import language_model_logits, pair_families
from torch import Tensor

from qstar_pl.qstar import (
    KLSymmetricAlpha,
    bisect_kl_symmetry,
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
            if torch.accelerator.is_available():
                torch.accelerator.synchronize()
            elapsed = 1e3 * (time.perf_counter() - start)
            best[index] = min(best[index], elapsed) if turn else best[index]  # the first turn warms up
    return best


def waits(function: Callable[[], object]) -> int:
    """Return how often the host waits for a CUDA device in one call."""
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def speed_pair(rows: int, vocab: int, certain: bool) -> list[Tensor]:
    """Return logits [rows, vocab] of π_θ and π_t, their log-ratio of s.d. 1 nat; certain: e^−12 of both is left."""
    generator = torch.Generator().manual_seed(rows)
    logits = language_model_logits(rows, vocab, generator)
    other = logits + torch.randn(rows, vocab, generator=generator, dtype=torch.float64)
    if certain:
        for values in (logits, other):
            values[:, 11] = values.logsumexp(-1) + 12
    return [logits.float(), other.float()]


def print_speed(vocab: int, batches: list[int], options: argparse.Namespace) -> None:
    threads, device = torch.get_num_threads(), options.device
    print(f"(1) fastest of {options.repeats} turns, ms: V={vocab}, {device}, {threads} threads, tol={options.tol:g}")
    names = f"{'pair':>12}{'rows':>6}{'naive':>9}{'solve':>9}{'ratio':>8}{'solve+mix':>11}{'ratio':>8}{'max |dα|':>10}"
    names += f"{'compiled':>10}{'ratio':>8}{'max |dα|':>10}" if options.compiled else ""
    print(names + (f"{'waits':>7}" if device == "cuda" else ""))
    for rows in batches:
        for certain in (False, True):
            logits = [x.to(device) for x in speed_pair(rows, vocab, certain)]
            exact = bisect_kl_symmetry(*(x.double().log_softmax(-1) for x in logits), max_iter=40).alpha
            for dtype in (torch.float32, torch.bfloat16):
                policy, target = (x.log_softmax(-1).to(dtype) for x in logits)
                solve = partial(solve_kl_symmetry, policy, target, tol=options.tol, normalised=True)
                mix = partial(KLSymmetricAlpha(tol=options.tol).mix, policy, target, normalised=True)
                naive = partial(naive_bisection, policy.float(), target.float())
                fused = partial(
                    KLSymmetricAlpha(tol=options.tol, solver="compiled").mix, policy, target, normalised=True
                )
                times = fastest_ms([naive, solve, mix, *([fused] if options.compiled else [])], options.repeats)
                error = (solve().alpha.double() - exact).abs().max().item()
                kind = ("certain " if certain else "1 nat ") + ("fp32" if dtype == torch.float32 else "bf16")
                ratios = f"{times[1]:9.2f}{times[0] / times[1]:7.1f}x{times[2]:11.2f}{times[0] / times[2]:7.1f}x"
                if options.compiled:
                    compiled_error = (fused()[0].double() - exact).abs().max().item()
                    extra = f"{times[3]:10.2f}{times[0] / times[3]:7.1f}x{compiled_error:10.1e}"
                else:
                    extra = ""
                waiting = f"{waits(mix):7d}" if device == "cuda" else ""
                print(f"{kind:>12}{rows:6d}{times[0]:9.2f}{ratios}{error:10.1e}{extra}{waiting}")


def true_gap(policy: Tensor, target: Tensor, alpha: Tensor) -> Tensor:
    """Return |D(q‖π_θ) − D(q‖π_t)| [rows] in float64 at `alpha`."""
    policy, target = policy.double(), target.double()
    mixture = geometric_mixture(policy, target, alpha.double())
    covered_mask = (policy > -torch.inf) & (target > -torch.inf)
    log_ratio = torch.where(covered_mask, policy - target, 0.0)
    return (mixture.logprobs.exp() * log_ratio).sum(-1).abs()


def print_families(rows: int, vocab: int, tol: float, device: str) -> None:
    print(
        f"\n(2) float32, tol={tol:g}, {rows} rows per family, V={vocab}; α beside a float64 bisection, KL gap in nats"
    )
    print("(3) ESS ratio θ/t on the common support, median and range over rows")
    header = f"{'pair':15}{'passes mean/max':>16}{'max |dα|':>10}{'KL gap':>10}{'reported':>10}"
    print(header + f"{'C':>8}{'α_KL':>7}{'α_ESS':>7}{'ESS ratio at α_KL':>26}{'at α_ESS':>26}")
    for name, pair in pair_families(rows, vocab).items():
        policy, target = pair[0].float().to(device), pair[1].float().to(device)
        kl, balanced = solve_kl_symmetry(policy, target, tol=tol), solve_ess_balance(policy, target, tol=tol)
        error = (kl.alpha.double() - bisect_kl_symmetry(pair[0], pair[1], max_iter=50).alpha.to(device)).abs().max()
        passes = kl.iterations.double()
        left = f"{name:15}{passes.mean().item():14.1f}/{int(passes.max())}{error.item():10.1e}"
        left += f"{true_gap(policy, target, kl.alpha).max().item():10.1e}{kl.kl_gap.abs().max().item():10.1e}"
        left += f"{-kl.log_z.mean().item():8.3f}{kl.alpha.mean().item():7.3f}{balanced.alpha.mean().item():7.3f}"
        print(left + "".join(f"{ess_ratio(policy, target, alpha):>26}" for alpha in (kl.alpha, balanced.alpha)))


def ess_ratio(policy: Tensor, target: Tensor, alpha: Tensor) -> str:
    """Return median [min, max] of ESS_θ/ESS_t at `alpha`, both normalized on the common support."""
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
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compiled", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    print_speed(options.vocab, options.rows, options)
    print_families(options.family_rows, options.vocab, options.tol, options.device)


if __name__ == "__main__":
    main()
