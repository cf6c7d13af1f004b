"""Microseconds of the fused kernel beside the bandwidth of a copy, and of the same token done in other ways."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from on_gpu.context import Context, clock_us, event_us, graph_us
from qstar_pl.models.compiling import Compiling, compiling
from qstar_pl.qstar import KLSymmetricAlpha
from qstar_pl.qstar.deferred import Deferred
from qstar_pl.rollout.compiled import compiled_drawing
from qstar_pl.rollout.fused.draw import BLOCK, draw
from qstar_pl.rollout.law import Geometric
from qstar_pl.rollout.token import Draw, drawing
from qstar_pl.rollout.truncation import Truncation

SPREAD = 2**28
"""Bytes of the inputs that take turns: several times any L2 cache."""
MOST_SETS = 128
"""Kernels in one graph."""

Inputs = list[tuple[Tensor, Tensor, Tensor]]


def run(context: Context) -> None:
    """Time tokens of several batches, the kernel first."""
    rate = _copied(context)
    cases = [
        (vocab, rows, dtype)
        for vocab in ((500,) if context.tiny else (50257, 151936))
        for dtype in (torch.float32, torch.bfloat16)
        for rows in ((1, 4) if context.tiny else (1, 16, 64, 384))
    ]
    for vocab, rows, dtype in cases if context.wanted("kernel") else ():
        context.need(5)
        _kernel(context, rate, *_inputs(context, vocab, rows, dtype))
    if context.wanted("kernel"):
        _registers(context)
        for rows in (1, 64):
            _blocks(context, rows)
    for vocab, rows, dtype in cases if context.wanted("operations") else ():
        if dtype is torch.float32:
            context.need(5)
            _others(context, *_inputs(context, vocab, rows, dtype), compile_too=False)
    for rows in ((4,) if context.tiny else (1, 64)) if context.wanted("compiled") else ():
        with context.at_most(60, f"compiled B={rows}"):
            _others(context, *_inputs(context, 500 if context.tiny else 50257, rows, torch.float32), compile_too=True)


def _copied(context: Context) -> float:
    """Return the bandwidth of copying a gigabyte, bytes per µs, reads and writes both counted."""
    source = torch.empty(2**20 if context.device == "cpu" else 2**30, dtype=torch.uint8, device=context.device).fill_(7)
    target = torch.empty_like(source)
    rate = 2 * source.numel() / event_us([lambda: target.copy_(source)], 10)
    context.record("copy", terabytes_per_second=rate / 1e6)
    return rate


def _inputs(context: Context, vocab: int, rows: int, dtype: torch.dtype) -> tuple[str, Inputs]:
    """Return a name, and batches of logits that are not in the cache together."""
    size = 2 * rows * vocab * dtype.itemsize
    sets = 2 if context.tiny else max(2, min(MOST_SETS, SPREAD // size))
    generator = torch.Generator(context.device).manual_seed(0)
    inputs = []
    rank = torch.rand(1, vocab, generator=generator, device=context.device).argsort(-1).argsort(-1)
    peaks = 1.1 * torch.log1p(rank.float())
    for _ in range(sets):
        policy = 1.6 * torch.randn(rows, vocab, generator=generator, device=context.device) - peaks
        target = policy + torch.randn(rows, vocab, generator=generator, device=context.device)
        uniforms = torch.rand(rows, generator=generator, device=context.device, dtype=torch.float64)
        inputs.append((policy.to(dtype), target.to(dtype), uniforms))
    return f"V={vocab} {str(dtype).removeprefix('torch.')} B={rows}", inputs


def _kernel(context: Context, rate: float, name: str, inputs: Inputs) -> None:
    calls = [partial(draw, *given) for given in inputs]
    policy = inputs[0][0]
    bound = 2 * policy.numel() * policy.element_size() / rate
    said = calls[0]()
    values = {"bound_us": bound, "passes": float(said.passes.float().mean())}
    values["host_us"] = clock_us(calls, 20)
    if context.device == "cuda":
        cold, warm = graph_us(calls), graph_us(calls[:1] * min(len(calls), 32))
        values |= {"kernel_us": cold, "share_of_bound": bound / cold, "in_cache_us": warm}
    context.record(f"kernel {name}", call_us=event_us(calls, 50 if context.device == "cuda" else 2), **values)


def _registers(context: Context) -> None:
    """Say what the compiler made of the kernel; an inner interface of Triton's, so it may be missing."""
    from qstar_pl.rollout.fused.kernel import draw_kernel

    try:
        for caches in draw_kernel.device_caches.values():
            for kernel in caches[0].values():
                context.record(
                    "registers",
                    registers=kernel.n_regs,
                    spills=kernel.n_spills,
                    shared=kernel.metadata.shared,
                    warps=kernel.metadata.num_warps,
                )
    except (AttributeError, KeyError, TypeError) as error:
        context.record("registers", unknown=repr(error))


def _blocks(context: Context, rows: int) -> None:
    """Time other lengths of a block."""
    if context.device != "cuda":
        return
    name, inputs = _inputs(context, 50257, rows, torch.float32)
    times = {
        block: graph_us([partial(draw, *given, block=block) for given in inputs], repeats=5)
        for block in (BLOCK // 4, BLOCK // 2, BLOCK, 2 * BLOCK)
    }
    context.record(f"blocks {name}", microseconds=times)


def _others(context: Context, name: str, inputs: Inputs, *, compile_too: bool) -> None:
    """Time the token operation by operation, and compiled."""
    law, truncation = Geometric(KLSymmetricAlpha()), Truncation()
    ways: Mapping[str, Draw] = {"operations": drawing(law, truncation)}
    if compile_too:
        with compiling(Compiling("inductor", 16)):
            compiled = compiled_drawing(law, truncation)
        assert compiled is not None, "inside `compiling`"
        ways = {"compiled": compiled}
    for way, one in ways.items():
        calls = [partial(_once, one, *given) for given in inputs[:8]]
        first_s = context.seconds(calls[0], 1, warm_up=0)
        repeats = 20 if context.device == "cuda" else 2
        context.record(
            f"{way} {name}", call_us=event_us(calls, repeats), host_us=clock_us(calls, repeats), first_s=first_s
        )


def _once(one: Draw, policy: Tensor, target: Tensor, uniforms: Tensor) -> object:
    """Draw as the decode loop does on a device: checks are noted, and nobody looks."""
    every = torch.arange(len(policy), device=policy.device)
    with torch.no_grad(), Deferred().token(0, every, torch.ones_like(every, dtype=torch.bool)):
        return one({"policy": policy, "target": target}, uniforms)
