"""How exact α and what follows from it are, where models are nearly certain and where they nearly agree.

    python benchmarks/alpha_accuracy.py [--policy A --target B] [--baseline DIR]

On the tokens of answers that q* draws from two real models, with the logits as they are, doubled and quadrupled:

1. mean α and the ESS ratio of float32 log-probabilities, as training has them, beside an independent float64 bisection
   of the float64 models; the share of contexts whose α is off; passes over the vocabulary per context;
2. the other strategies beside their float64 selves;
3. the same for pairs that differ by 1e-1 to 1e-6 nats, at V = 105 and 50257;
4. `qstar theory`'s table;
5. with `--baseline`, a checkout of another version, the cost of q* decoding before and after (`decoding.py`).

Without models the folder of QSTAR_DATA_DIR (or ../shared/data) is looked up.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from decoding import print_before_and_after
from torch import Tensor

from qstar_pl.commands.theory import DEFAULT_PROMPTS, print_table
from qstar_pl.qstar import (
    AlphaSolution,
    entropy_alpha,
    ess,
    geometric_mixture,
    solve_ess_balance,
    solve_kl_symmetry,
    solve_snr,
)
from qstar_pl.theory.pair import Contexts, bisect_alpha, compare, visit


def ess_ratio(policy_logits: Tensor, target_logits: Tensor, alpha: Tensor) -> float:
    """Return mean ESS_θ over mean ESS_t at α [N], in float64."""
    policy, target = policy_logits.log_softmax(-1), target_logits.log_softmax(-1)
    q = geometric_mixture(policy, target, alpha.double()).logprobs
    return float(ess(policy, q).mean() / ess(target, q).mean())


def off(alpha: Tensor, exact: Tensor) -> str:
    """Return the shares of rows off by more than 0.01 and 0.02, and the 99th percentile of the error."""
    error = (alpha.double() - exact).abs()
    shares = " ".join(f"{100 * (error > bound).double().mean().item():6.2f}%" for bound in (0.01, 0.02))
    return f"{shares}{error.quantile(0.99).item():10.1e}{error.max().item():10.1e}"


def print_kl_symmetry(contexts: Contexts, factors: list[float]) -> None:
    print(f"KL symmetry on {len(contexts.logits[0])} contexts")
    heading = f"{'logits':>8}{'mean α':>10}{'float64':>10}{'ESS ratio':>11}{'float64':>10}"
    print(f"{heading}   >.01    >.02 {'99%':>9}{'max':>10}{'passes':>8}")
    for factor in factors:
        sharpened = contexts.sharpened(factor)
        solution = solve_kl_symmetry(*(values.log_softmax(-1) for values in sharpened.logits))
        exact = bisect_alpha(*sharpened.exact_logits)
        ratios = [ess_ratio(*sharpened.exact_logits, alpha) for alpha in (solution.alpha, exact)]
        means = f"{solution.alpha.double().mean().item():10.4f}{exact.mean().item():10.4f}"
        line = f"{f'x {factor:g}':>8}{means}{ratios[0]:11.4f}{ratios[1]:10.4f} {off(solution.alpha, exact)}"
        print(f"{line}{solution.iterations.double().mean().item():8.2f}")


def growth(policy: Tensor, target: Tensor, beta: Tensor | float) -> Tensor:
    """Return log Σ π_t (π_θ/π_t)^β [N] for laws whose log-probabilities [N, vocab] are rounded to float64."""
    exponents = (policy - target) * beta
    far = (target + exponents).exp() - target.exp()
    return torch.where(exponents < 1, target.exp() * exponents.clamp_max(1).expm1(), far).sum(-1).log1p()


def bisect_ess_balance(policy: Tensor, target: Tensor, steps: int = 50) -> Tensor:
    """Return the ESS-balanced α [N] by bisection of Λ(−α) − Λ(2−α), for float64 log-probabilities."""
    low, total = torch.zeros_like(policy[:, 0]), growth(policy, target, 1.0)
    high = torch.ones_like(low)
    for _ in range(steps):
        alpha = 0.5 * (low + high)
        sides = [growth(policy, target, beta.unsqueeze(-1)) for beta in (-alpha, 2 - alpha)]
        below = sides[0] - sides[1] + 2 * total < 0
        low, high = torch.where(below, alpha, low), torch.where(below, high, alpha)
    return 0.5 * (low + high)


def print_others(contexts: Contexts, factors: list[float]) -> None:
    print("\nother strategies, float32 beside float64")
    print(f"{'':14}{'logits':>8}{'mean α':>10}{'float64':>10}   >.01    >.02 {'99%':>9}{'max':>10}{'passes':>8}")
    for factor in factors:
        sharpened = contexts.sharpened(factor)
        policy, target = (values.log_softmax(-1) for values in sharpened.logits)
        exact_policy, exact_target = (values.log_softmax(-1) for values in sharpened.exact_logits)
        results: dict[str, tuple[AlphaSolution | Tensor, Tensor]] = {
            "ESS balance": (solve_ess_balance(policy, target), bisect_ess_balance(exact_policy, exact_target)),
            "SNR": (solve_snr(policy, target), solve_snr(exact_policy, exact_target, tol=1e-9).alpha),
            "entropy": (entropy_alpha(policy, target), entropy_alpha(exact_policy, exact_target)),
        }
        for name, (found, exact) in results.items():
            alpha = found.alpha if isinstance(found, AlphaSolution) else found
            passes = f"{found.iterations.double().mean().item():8.2f}" if isinstance(found, AlphaSolution) else ""
            means = f"{alpha.double().mean().item():10.4f}{exact.mean().item():10.4f}"
            print(f"{name:14}{f'x {factor:g}':>8}{means} {off(alpha, exact)}{passes}")


def print_near_identical() -> None:
    print("\nKL symmetry of nearly identical pairs, half of them nearly certain: largest error of α, passes")
    for vocab, rows in ((105, 200), (50257, 16)):
        generator = torch.Generator().manual_seed(vocab)
        logits = 2 * torch.randn(rows, vocab, generator=generator)
        logits[::2, 7] += torch.linspace(6, 25, rows // 2)
        for distance in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
            other = logits + distance * torch.randn(rows, vocab, generator=generator)
            exact = bisect_alpha(logits.double(), other.double())
            solution = solve_kl_symmetry(logits.log_softmax(-1), other.log_softmax(-1))
            error = (solution.alpha.double() - exact).abs().max().item()
            passes = solution.iterations.double().mean().item()
            print(f"V = {vocab:5d}  log-ratio s.d. {distance:g}: {error:.1e}  {passes:.2f}")


def default_model(name: str) -> str:
    """Return the folder of a model that comes with the project's data."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return str(Path(os.environ.get("QSTAR_DATA_DIR", beside)) / "tiny_models" / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default=default_model("babyllama_a"), help="π_θ: hub id or folder")
    parser.add_argument("--target", default=default_model("babyllama_b"), help="π_t: hub id or folder")
    parser.add_argument("--samples", type=int, default=24, help="answers of 64 tokens to each of 4 prompts")
    parser.add_argument("--factors", type=float, nargs="+", default=[1.0, 2.0, 4.0])
    parser.add_argument("--baseline", type=Path, help="checkout of another version, for the cost of decoding")
    parser.add_argument("--repeats", type=int, default=15, help="turns of decoding with each version")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="of decoding")
    options = parser.parse_args()
    contexts = visit(options.policy, options.target, DEFAULT_PROMPTS, options.samples, 64, 0)
    print_kl_symmetry(contexts, options.factors)
    print_others(contexts, options.factors)
    print_near_identical()
    for factor in options.factors:
        measured, reference = compare(contexts.sharpened(factor))
        print_table(measured, reference, len(contexts.logits[0]), factor)
    if options.baseline is not None:
        for spread in (0.02, 0.1):
            print(f"\nrandom GPT-2s with weights of s.d. {spread}")
            options.spread = spread
            print_before_and_after(options.baseline, options)


if __name__ == "__main__":
    main()
