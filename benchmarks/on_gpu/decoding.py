"""Tokens per second of q* in all ways, beside the two bare forwards; what waits and what is launched per token."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch._dynamo.utils import counters

from on_gpu.context import Context
from on_gpu.models import Pair, gpt2, prompts, qwen
from qstar_pl.models import LanguageModel
from qstar_pl.models.compiling import Compiling, compiling
from qstar_pl.samplers import GeometricSampler, SpeculativeSampler
from qstar_pl.samplers.drafters import Alternating, ModelDrafter
from qstar_pl.samplers.sampler import Sampler
from qstar_pl.types import PromptBatch, Rollout

TOKENS = 48
SHORT = 16
"""Tokens of the rollout that is subtracted where counts per token are taken."""
LARGE = 100_000
"""Entries of a vocabulary from which on a model is one of billions of parameters, which take longer to compile."""
WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize", "cudaDeviceSynchronize")
LAUNCHES = ("cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cuLaunchKernelEx", "cudaGraphLaunch")


def run(context: Context, pair: Pair, name: str) -> None:
    """Time one pair of models with several numbers of rows."""
    for rows in context.rows or ((1, 4) if context.tiny else (1, 8, 64)):
        if context.wanted("warm") and context.only:
            _warm(context, pair, name, rows)
        both = _bare(context, pair, name, rows) if context.wanted("bare") else None
        for way, fused in (("kernel", True), ("operations", False)):
            if context.wanted(way) and (context.device != "cpu" or not fused):
                with context.at_most(20, f"{name} B={rows}: {way}"):
                    _plain(context, pair, name, rows, both, fused=fused)
        if context.wanted("compiled"):
            with context.at_most(60 if pair[0].vocab_size < LARGE else 150, f"{name} B={rows}: compiled"):
                _compiled_ways(context, pair, name, rows, both)
        if context.wanted("counts compiled"):
            with context.at_most(25, f"{name} B={rows}: per token, compiled"):
                _counts(context, pair, name, rows, compile_too=True)
        if context.wanted("speculative"):
            _speculative(context, pair, name, rows, both)
        if context.wanted("counts"):
            with context.at_most(80, f"{name} B={rows}: per token"):
                _counts(context, pair, name, rows, compile_too=False)


def run_gpt2(context: Context) -> None:
    """Time GPT-2 124M."""
    run(context, gpt2(context), "GPT-2 124M fp32")


def run_qwen(context: Context) -> None:
    """Time Qwen2.5-1.5B."""
    run(context, qwen(context), "Qwen2.5-1.5B bf16")


@torch.no_grad()
def bare(models: tuple[LanguageModel, ...], batch: PromptBatch, tokens: Tensor) -> None:
    """Run the cached forwards of the models, and nothing else."""
    for one in models:
        cache = one.model(batch.prompt_ids, use_cache=True, logits_to_keep=1).past_key_values
        for column in tokens.T[:-1]:
            cache = one.model(column.unsqueeze(-1), past_key_values=cache, use_cache=True).past_key_values


@torch.no_grad()
def bare_compiled(
    models: tuple[LanguageModel, ...], batch: PromptBatch, tokens: Tensor, room: int | None = None
) -> None:
    """Run the compiled forwards of both models, and nothing else; `room` is what their caches are made for."""
    with compiling(Compiling("inductor", room or tokens.shape[1])):
        sessions = [one.start(batch, 1) for one in models]
    for column in tokens.T[:-1]:
        for session in sessions:
            session.advance(column)


def draws(sampler: Sampler, pair: Pair, batch: PromptBatch) -> Callable[[], Rollout]:
    """Return a function that draws with a new seed each time."""
    seeds = iter(range(10_000))
    return lambda: sampler.draw(batch, pair[0], pair[1], samples=1, seed=next(seeds))


def _setting(context: Context, pair: Pair, rows: int) -> tuple[PromptBatch, Tensor, int]:
    vocab = pair[0].vocab_size
    tokens = 8 if context.tiny else TOKENS if vocab < LARGE else TOKENS // 2
    given = torch.randint(vocab, (rows, tokens), generator=torch.Generator().manual_seed(1)).to(context.device)
    return prompts(rows, vocab, context.device), given, 1 if context.tiny else 3


def _warm(context: Context, pair: Pair, name: str, rows: int) -> None:
    """Compile the passes, so that a later process finds them in inductor's cache."""
    batch, given, _ = _setting(context, pair, rows)
    started = time.perf_counter()
    with context.at_most(context.limit_s, f"{name} B={rows}: warm"):
        bare_compiled(pair[:2], batch, given[:, :4], room=given.shape[1])
        context.wait()
        context.record(f"{name} B={rows}: warm", first_s=time.perf_counter() - started)


def _bare(context: Context, pair: Pair, name: str, rows: int) -> float:
    """Return the time of two bare forwards, s."""
    batch, given, repeats = _setting(context, pair, rows)
    context.need(10)
    both = context.seconds(lambda: bare(pair[:2], batch, given), repeats)
    context.record(
        f"{name} B={rows}: two bare forwards", tokens_per_s=given.numel() / both, ms_per_token=_ms(both, given)
    )
    return both


def _plain(context: Context, pair: Pair, name: str, rows: int, both: float | None, *, fused: bool) -> None:
    batch, given, repeats = _setting(context, pair, rows)
    sampler = GeometricSampler(max_new_tokens=given.shape[1], fused=fused)
    spent = context.seconds(draws(sampler, pair, batch), repeats)
    way = "kernel" if fused else "operation by operation"
    _record(context, f"{name} B={rows}: q*, {way}", spent, given, two_bare=both)


def _compiled_ways(context: Context, pair: Pair, name: str, rows: int, plain_s: float | None) -> None:
    batch, given, repeats = _setting(context, pair, rows)
    before = counters["stats"]["unique_graphs"]
    started = time.perf_counter()
    bare_compiled(pair[:2], batch, given)
    context.wait()
    first_s = time.perf_counter() - started
    recorded = _recorded()
    both = context.seconds(lambda: bare_compiled(pair[:2], batch, given), repeats)
    context.record(
        f"{name} B={rows}: two bare forwards, compiled",
        tokens_per_s=given.numel() / both,
        ms_per_token=_ms(both, given),
        first_s=first_s,
        graphs_compiled=counters["stats"]["unique_graphs"] - before,
        cuda_graphs_per_rollout=(_recorded() - recorded) / (repeats + 1),
        cuda_graphs_skipped=counters["inductor"]["cudagraph_skips"],
    )
    sampler = GeometricSampler(max_new_tokens=given.shape[1], torch_compile=True)
    recorded = _recorded()
    spent = context.seconds(draws(sampler, pair, batch), repeats, warm_up=2)
    _record(
        context,
        f"{name} B={rows}: q*, kernel and compiled models",
        spent,
        given,
        two_bare_compiled=both,
        two_bare=plain_s,
        cuda_graphs_per_rollout=(_recorded() - recorded) / (repeats + 2),
    )
    plain, compiled = (
        GeometricSampler(max_new_tokens=given.shape[1], torch_compile=how).draw(
            batch, pair[0], pair[1], samples=1, seed=77
        )
        for how in (False, True)
    )
    equal = plain.completion_ids == compiled.completion_ids
    same = equal.int().cumprod(-1).bool()
    off = {
        column: float(((getattr(plain, column) - getattr(compiled, column)).abs() * same).max())
        for column in ("behavior_logprobs", "alpha", "ess_policy")
    }
    context.record(
        f"{name} B={rows}: compiled beside plain",
        equal_texts=f"{int(equal.all(-1).sum())}/{rows}",
        equal_tokens=float(same.float().mean()),
        differences=off,
    )


def _speculative(context: Context, pair: Pair, name: str, rows: int, both: float | None) -> None:
    batch, given, _ = _setting(context, pair, rows)
    small = ModelDrafter()
    small._tokens[:] = [pair[2]]
    for drafter, k in ((small, 3), (Alternating(), 1)):
        context.need(10)
        sampler = SpeculativeSampler(drafter=drafter, k=k, mode="always", max_new_tokens=given.shape[1])
        draw = draws(sampler, pair, batch)
        rollouts: list[Rollout] = []
        spent = context.seconds(lambda draw=draw, kept=rollouts: kept.append(draw()), 1)  # type: ignore[misc]
        drafting = rollouts[-1].info.drafting
        assert drafting is not None, "mode always"
        _record(
            context,
            f"{name} B={rows}: speculative, {type(drafter).__name__}, k={k}",
            spent,
            given,
            two_bare=both,
            accepted=sum(drafting.accepted) / max(1, sum(drafting.tested)),
            calls=drafting.calls,
        )


def _counts(context: Context, pair: Pair, name: str, rows: int, *, compile_too: bool) -> None:
    """Record what waits and what is launched per token: of q*, and of the two forwards alone."""
    if context.device != "cuda":
        return
    batch, _, _ = _setting(context, pair, rows)
    vocab = pair[0].vocab_size
    given = torch.randint(vocab, (rows, 2 * TOKENS), device=context.device)
    ways: dict[str, Callable[[int], object]] = {}
    for way, options in (
        {"kernel, compiled models": {"torch_compile": True}}
        if compile_too
        else {"kernel": {}, "operation by operation": {"fused": False}}
    ).items():
        ways[f"q*, {way}"] = lambda tokens, options=options: GeometricSampler(  # type: ignore[misc]
            max_new_tokens=tokens, **options
        ).draw(batch, pair[0], pair[1], samples=1, seed=1)
    if not compile_too:
        ways["two bare forwards"] = lambda tokens: bare(pair[:2], batch, given[:, :tokens])
    for way, function in ways.items():
        context.need(10)
        for tokens in (SHORT, TOKENS):
            function(tokens)
        counted = [_counted(partial(function, tokens)) for tokens in (SHORT, TOKENS)]
        per_token = {
            kind: (counted[1][kind] - counted[0][kind]) / (TOKENS - SHORT) for kind in sorted(counted[0] | counted[1])
        }
        context.record(f"{name} B={rows}: per token, {way}", **per_token)


def _counted(function: Callable[[], object]) -> Counter[str]:
    """Return how often the host waits (by torch's own warnings and by the driver's calls), and what it launches."""
    found: Counter[str] = Counter()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    found["waits_warned_of"] = sum("synchroniz" in str(warning.message) for warning in caught)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        function()
        torch.cuda.synchronize()
    for event in profile.key_averages():
        if event.key in WAITS:
            found["waits"] += event.count
        elif event.key in LAUNCHES:
            found["launches"] += event.count
        elif event.key.startswith("cudaMemcpy"):
            found["copies"] += event.count
        elif str(event.device_type).endswith("CUDA"):
            found["kernels"] += event.count
    return found


def _recorded() -> int:
    """Return how many CUDA graphs torch has recorded; an inner interface of torch's, so 0 where it is missing."""
    try:
        from torch._inductor.cudagraph_trees import get_manager

        manager = get_manager(torch.cuda.current_device(), create_if_none_exists=False)
        return 0 if manager is None else int(repr(manager.graph_counter)[len("count(") : -1])
    except (ImportError, AttributeError, RuntimeError, ValueError, AssertionError):
        return 0


def _ms(seconds: float, given: Tensor) -> float:
    return 1e3 * seconds / given.shape[1]


def _record(context: Context, what: str, spent: float, given: Tensor, **more: object) -> None:
    values: dict[str, object] = {"tokens_per_s": given.numel() / spent, "ms_per_token": _ms(spent, given)}
    for name, value in more.items():
        if value is None:
            continue
        if name.startswith("two_bare"):
            assert isinstance(value, float)
            values[f"times_{name}"] = spent / value
        else:
            values[name] = value
    context.record(what, **values)
