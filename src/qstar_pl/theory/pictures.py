"""Pictures of q_α between two Gaussians in the plane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qstar_pl.figures import drawn, legend_below, line_style, title
from qstar_pl.figures.style import COLORS
from qstar_pl.theory.gaussian import Gaussian, divergence, effective_size, mixture, symmetric_alpha
from qstar_pl.theory.scenes import SCENES

POINTS = 101


def save_pictures(folder: Path, suffix: str) -> Iterator[Path]:
    """Draw all scenes into a folder, and yield the files as they are written."""
    for name, (policy, target) in SCENES.items():
        path = folder / f"{name}.{suffix}"
        save_scene(name, policy, target, path)
        yield path


def save_scene(name: str, policy: Gaussian, target: Gaussian, path: Path) -> None:
    """Draw the plane, divergences and effective sample sizes along α, and the front of the two divergences."""
    star = symmetric_alpha(policy, target)
    center = mixture(policy, target, star)
    information = divergence(center, policy)
    ess = effective_size(policy, target, star)
    with drawn(path, 3.9, width=10.0) as figure:
        plane, along, front = figure.subplots(1, 3)
        _plane(plane, policy, target, star)
        _along(along, policy, target, star)
        _front(front, policy, target, star)
        title(
            figure,
            f"{name.replace('_', ' ')}: α* = {star:.3f}, both divergences {information:.3g} nats, "
            f"ESS_θ {ess[0]:.3g}, ESS_t {ess[1]:.3g} per sample",
        )
        legend_below(figure)


def _plane(axis: Any, policy: Gaussian, target: Gaussian, star: float) -> None:
    from matplotlib.patches import Ellipse

    for number, (label, law) in enumerate({"π_θ": policy, "π_t": target, "q*": mixture(policy, target, star)}.items()):
        style = line_style(number)
        for width in (1, 2):
            axis.add_patch(
                Ellipse(
                    law.mean,
                    2 * width * law.sd[0],
                    2 * width * law.sd[1],
                    fill=False,
                    edgecolor=style.color,
                    linestyle=style.dashes,
                    linewidth=1.4,
                )
            )
        axis.plot(*law.mean, color=style.color, marker=style.marker, linestyle=style.dashes, label=label)
    way = [mixture(policy, target, alpha).mean for alpha in _alphas()]
    axis.plot(*zip(*way, strict=True), color="0.5", linewidth=0.8, label="mean of q_α")
    axis.set_aspect("equal", adjustable="datalim")
    axis.autoscale_view()
    axis.set_xlabel("x (ellipses: 1 and 2 s.d.)")
    axis.set_ylabel("y")


def _along(axis: Any, policy: Gaussian, target: Gaussian, star: float) -> None:
    alphas = _alphas()
    laws = [mixture(policy, target, alpha) for alpha in alphas]
    sizes = [effective_size(policy, target, alpha) for alpha in alphas]
    for number, (label, values) in enumerate(
        {
            "D(q_α‖π_θ), nats": [divergence(law, policy) for law in laws],
            "D(q_α‖π_t), nats": [divergence(law, target) for law in laws],
        }.items()
    ):
        axis.plot(alphas, values, label=label, color=COLORS[number + 3], linestyle="-" if number else "--")
    axis.set_ylabel("nats")
    axis.set_ylim(bottom=0)
    axis.axvline(star, color="0.4", linewidth=0.8, linestyle=":", label="α*")
    axis.set_xlabel("α")
    right = axis.twinx()
    for number, label in enumerate(("ESS_θ per sample (right)", "ESS_t per sample (right)")):
        right.plot(
            alphas,
            [size[number] for size in sizes],
            label=label,
            color=COLORS[number],
            linestyle=(0, (1, 1.5)) if number else (0, (5, 2, 1, 2)),
        )
    right.set_ylim(0, 1.02)
    right.set_ylabel("ESS per sample")
    right.grid(visible=False)
    right.spines["right"].set_visible(True)


def _front(axis: Any, policy: Gaussian, target: Gaussian, star: float) -> None:
    laws = [mixture(policy, target, alpha) for alpha in _alphas()]
    points = [(divergence(law, policy), divergence(law, target)) for law in laws]
    axis.plot(*zip(*points, strict=True), color=COLORS[2], label="q_α, the front")
    moved = [_interpolated(policy, target, share) for share in _alphas()]
    others = [(divergence(law, policy), divergence(law, target)) for law in moved]
    axis.plot(
        *zip(*others, strict=True),
        color=COLORS[6],
        linestyle=(0, (5, 2)),
        label="mean and s.d. moved in a straight line",
    )
    center = mixture(policy, target, star)
    axis.plot(divergence(center, policy), divergence(center, target), color=COLORS[2], marker="^", linestyle="")
    most = 1.05 * max(points[0][0], points[-1][1])
    axis.plot([0, most], [0, most], color="0.5", linewidth=0.8, linestyle=":", label="equal divergences")
    axis.set_xlim(0, 1.05 * points[0][0])
    axis.set_ylim(0, 1.05 * points[-1][1])
    axis.set_xlabel("D(q‖π_θ), nats")
    axis.set_ylabel("D(q‖π_t), nats")


def _interpolated(policy: Gaussian, target: Gaussian, share: float) -> Gaussian:
    """Return the Gaussian with mean and standard deviation `share` of the way from π_t to π_θ."""
    mean = [share * p + (1 - share) * t for p, t in zip(policy.mean, target.mean, strict=True)]
    sd = [share * p + (1 - share) * t for p, t in zip(policy.sd, target.sd, strict=True)]
    return Gaussian((mean[0], mean[1]), (sd[0], sd[1]))


def _alphas() -> list[float]:
    return [number / (POINTS - 1) for number in range(POINTS)]
