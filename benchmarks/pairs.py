"""Pairs of next-token distributions, from language-model-like to solver-breaking; the tests use them too."""

import torch
from torch import Generator, Tensor

Pair = tuple[Tensor, Tensor]


def language_model_logits(rows: int, vocab: int, generator: Generator) -> Tensor:
    """Return logits [rows, vocab] with a noisy bulk and Zipf-like peaks (float64, about 6 nats of entropy)."""
    bulk = 1.6 * torch.randn(rows, vocab, generator=generator, dtype=torch.float64)
    rank = torch.rand(rows, vocab, generator=generator).argsort(-1).argsort(-1)
    return bulk - 1.1 * torch.log1p(rank.double())


def keep_top(logits: Tensor, k: int, by: Tensor) -> Tensor:
    """Set all but the k entries of each row that are largest in `by` to -inf."""
    kept_mask = torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, by.topk(k, -1).indices, True)
    return logits.masked_fill(~kept_mask, -torch.inf)


def pair_families(rows: int, vocab: int, seed: int = 0) -> dict[str, Pair]:
    """Return name → (policy, target) log-probabilities [rows, vocab] in float64.

    lm_s: language-model-like, log-ratio noise of s.d. s. temp_T: the target is the policy at temperature T. near_e:
    noise of s.d. e. onehot_diff_h: peaks of h nats on different tokens. disjoint_20: each prefers its half by 20 nats.
    mask_same_50 / mask_own_50: only the top 50 of the policy / of each have probability.
    """
    generator = torch.Generator().manual_seed(seed)

    def noise() -> Tensor:
        return torch.randn(rows, vocab, generator=generator, dtype=torch.float64)

    def peak(height: float, shift: int) -> Tensor:
        return noise().scatter_(-1, (token + shift) % vocab, height)

    logits = language_model_logits(rows, vocab, generator)
    token = torch.randint(vocab, (rows, 1), generator=generator)
    even_mask = torch.arange(vocab) % 2 == 0
    near = logits + noise()
    pairs = {f"lm_{sd}": (logits, logits + sd * noise()) for sd in (0.1, 0.3, 0.7, 1.0, 1.5, 3.0)}
    pairs |= {f"temp_{t}": (logits, logits / t) for t in (0.5, 2.0, 4.0)}
    pairs["lm_1.0_temp_2"] = (logits, near / 2)
    pairs["gauss_indep"] = (2 * noise(), 2 * noise())
    pairs |= {f"near_{sd:g}": (logits, logits + sd * noise()) for sd in (1e-3, 1e-6)}
    pairs["onehot_same"] = (peak(30.0, 0), peak(30.0, 0))
    pairs |= {f"onehot_diff_{height:g}": (peak(height, 0), peak(height, 1)) for height in (30.0, 100.0)}
    pairs["disjoint_20"] = (noise() + 20 * even_mask, noise() + 20 * ~even_mask)
    pairs["sharp_vs_flat"] = (peak(30.0, 0), noise())
    top = min(50, vocab // 2)
    pairs["mask_same_50"] = (keep_top(logits, top, by=logits), keep_top(near, top, by=logits))
    pairs["mask_own_50"] = (keep_top(logits, top, by=logits), keep_top(near, top, by=near))
    return {name: (policy.log_softmax(-1), target.log_softmax(-1)) for name, (policy, target) in pairs.items()}
