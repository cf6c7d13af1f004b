"""How long the fused kernel takes on a CUDA device: `python benchmarks/kernel.py [--rows 1 16 64 384]`.

Per number of rows and dtype, in microseconds: the kernel with the logits still in the cache (warm) and not in the
cache (cold), the same token operation by operation, and as many bytes at the bandwidth of a copy. The
share is that time over the cold kernel's. Needs CUDA and Triton.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial

import torch
from pairs import language_model_logits
from torch import Tensor

from qstar_pl.qstar import KLSymmetricAlpha
from qstar_pl.rollout.divergence import divergence
from qstar_pl.rollout.fused.draw import draw
from qstar_pl.rollout.inverse_cdf import inverse_cdf

FLUSH_BYTES = 2**28
"""More than any device's L2 cache."""


def eager(policy: Tensor, target: Tensor, uniforms: Tensor) -> Tensor:
    """Do what the kernel does, operation by operation."""
    logprobs = [logits.float().log_softmax(-1) for logits in (policy, target)]
    _, mixture = KLSymmetricAlpha().mix(*logprobs, normalised=True)
    probs = mixture.logprobs.softmax(-1)
    for model in logprobs:
        divergence(model, mixture.logprobs, probs)
    return inverse_cdf(probs, uniforms)


def microseconds(function: Callable[[], object], repeats: int, before: Callable[[], object] | None = None) -> float:
    """Return the median time on the device; `before` runs ahead of each call and is not timed."""
    for _ in range(3):  # compiles
        function()
    times: list[float] = []
    for _ in range(repeats):
        if before is not None:
            before()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        times.append(1e3 * start.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def copied_bytes_per_microsecond(repeats: int) -> float:
    """Return the bandwidth of copying a gigabyte, reads and writes both counted."""
    source = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() / microseconds(lambda: target.copy_(source), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocab", type=int, default=50257)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 64, 384])
    parser.add_argument("--repeats", type=int, default=50)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("kernel: needs a CUDA device (on a CPU the kernel runs in Triton's interpreter, as in its tests)")
    bandwidth = copied_bytes_per_microsecond(options.repeats)
    print(f"{torch.cuda.get_device_name()}, copy {bandwidth / 1e6:.2f} TB/s, V={options.vocab}, median of", end=" ")
    print(f"{options.repeats}, µs")
    print(
        f"{'rows':>6}{'dtype':>10}{'warm':>9}{'cold':>9}{'copy':>9}{'share':>8}{'eager':>10}{'ratio':>8}{'tokens':>8}"
    )
    flush = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda")
    generator = torch.Generator().manual_seed(0)
    for rows in options.rows:
        policy = language_model_logits(rows, options.vocab, generator)
        target = policy + torch.randn(policy.shape, generator=generator, dtype=torch.float64)
        uniforms = torch.rand(rows, generator=generator, dtype=torch.float64).cuda()
        for dtype in (torch.float32, torch.bfloat16):
            p, t = policy.to(dtype).cuda(), target.to(dtype).cuda()
            fused, plain = partial(draw, p, t, uniforms), partial(eager, p, t, uniforms)
            warm, cold = microseconds(fused, options.repeats), microseconds(fused, options.repeats, flush.zero_)
            slow = microseconds(plain, max(5, options.repeats // 5))
            copy = 2 * p.numel() * p.element_size() / bandwidth
            same = (fused().token == plain()).float().mean().item()
            name = str(dtype).removeprefix("torch.")
            print(f"{rows:6d}{name:>10}{warm:9.1f}{cold:9.1f}{copy:9.1f}{copy / cold:8.0%}", end="")
            print(f"{slow:10.1f}{slow / warm:7.1f}x{same:8.1%}")


if __name__ == "__main__":
    main()
