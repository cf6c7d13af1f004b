"""A plan as text that fits 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill

from qstar_pl.planning import memory, speed
from qstar_pl.planning.cluster import Cluster
from qstar_pl.planning.memory import GIB
from qstar_pl.planning.plan import Plan
from qstar_pl.planning.remedies import Changed

WIDTH = 80
SHORT = 28
"""Columns of the names in a table."""


def size(bytes_: float) -> str:
    """Return a size in the unit that one would take: 3.2 KiB, 41 MiB, 26.3 GiB."""
    for unit, factor in (("GiB", GIB), ("MiB", 2**20)):
        if round(bytes_ * 1024 / factor) >= 1000:
            return f"{bytes_ / factor:.3g} {unit}" if bytes_ < 999.5 * factor else f"{bytes_ / factor:,.0f} {unit}"
    return f"{bytes_ / 2**10:.3g} KiB"


def duration(seconds: float) -> str:
    """Return a time in the unit that one would take: 12 ms, 3.4 s, 2.5 min, 7.1 h, 12 days."""
    for unit, factor, below in (("ms", 1e-3, 1.0), ("s", 1.0, 100.0), ("min", 60.0, 6000.0), ("h", 3600.0, 360_000.0)):
        if seconds < below:
            value = seconds / factor
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"  # 1000 ms, not 1e+03 ms
    return f"{seconds / 86_400:.3g} days"


def describe(cluster: Cluster) -> str:
    """Return what a plan is for, and the figures that it takes for it."""
    machines = "1 machine" if cluster.nodes == 1 else f"{cluster.nodes} machines"
    network = "" if cluster.nodes == 1 else f", {cluster.network_gbs:g} GB/s between machines"
    return (
        f"{machines} with {cluster.gpus} × {cluster.gpu}; each {cluster.memory_gib:g} GiB at "
        f"{cluster.memory_gbs:,g} GB/s, {cluster.tflops:g} TFLOP/s in bf16, links of {cluster.link_gbs:g} GB/s{network}"
    )


def lines(plan: Plan, steps: int | None, changes: Sequence[Changed], notices: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a plan.

    Args:
        plan: what is planned.
        steps: optimizer steps of the whole run; None: it is not bounded by steps.
        changes: what would make it fit.
        notices: what stands for something else in it.

    """
    yield from _wrapped(describe(plan.cluster))
    for notice in notices:
        yield from _wrapped(f"notice: {notice}")
    ranks = plan.cluster.ranks
    yield f"\nmemory of {'the process' if ranks == 1 else f'each of {ranks} processes'}"
    for phase, items in plan.phases.items():
        yield f"  {phase:<{SHORT + 2}}{size(sum(items.values())):>12}"
        for what, bytes_ in items.items():
            yield f"    {what:<{SHORT}}{size(bytes_):>12}"
    if plan.models.target_adapters is not None:
        yield from _wrapped("  the target has its weights in the policy: one base is counted, and two KV caches", 4)
    name, most = plan.peak
    share = f"{plan.share:.0%}" if plan.share >= 0.01 else "less than 1%"
    yield from _wrapped(
        f"peak: {size(most)} (always, and {name}), {share} of {plan.cluster.memory_gib:g} GiB: {plan.verdict}"
    )
    if changes:
        yield f"\n  {'peak then':>9}  {'fits':<5}  what to change"
    for change in changes:
        fits = "yes" if change.plan.fits else "tight" if change.plan.share <= 1 else "no"
        start = f"  {size(change.plan.peak[1]):>9}  {fits:<5}  "
        yield from _wrapped(start + " ".join(change.words), indent=len(start))
    if changes and not any(change.plan.fits for change in changes):
        yield "none of these is enough, nor all together"
    times = plan.speed
    yield f"\ntime of an optimizer step: {duration(times.step_s)}"
    for phase, seconds in times.phases.items():
        yield f"    {phase:<{SHORT}}{duration(seconds):>12}"
    yield f"{times.tokens_per_s:,.0f} tokens of answers per second over all processes"
    if steps:
        yield f"{steps} steps: {duration(steps * times.step_s)}"
    yield "\nassumed"
    for assumption in (*memory.ASSUMPTIONS, *speed.ASSUMPTIONS):
        yield from _wrapped(f"- {assumption}", indent=2)


def _wrapped(text: str, indent: int = 2) -> list[str]:
    # Options stay whole, however long.
    return fill(text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False).split("\n")
