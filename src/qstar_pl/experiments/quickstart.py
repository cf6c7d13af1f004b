"""The figure of `qstar quickstart`."""

from collections.abc import Sequence
from pathlib import Path

from qstar_pl.experiments.seeds import SeedResult

SIZES = "effective sample size"
"""The panel whose axis is logarithmic."""


def save_figure(results: Sequence[SeedResult], path: Path) -> None:
    """Draw the training curves of all seeds: rewards, α, ESS ratio, weights."""
    import matplotlib as mpl

    mpl.use("Agg")  # needs no display
    from matplotlib import pyplot as plt

    panels = (
        (
            "reward per answer",
            (
                ("val/reward_gold", "gold, π_θ on held-out prompts", "black"),
                ("reward/gold", "gold, answers of q*", "C0"),
                ("reward/proxy", "proxy, answers of q*", "C1"),
            ),
        ),
        ("α", (("alpha/mean", "mean α*", "C2"),)),
        (
            SIZES,
            (("ess/ratio", "ESS_θ / ESS_t", "C3"), ("weights/ess_fraction", "ESS/N of weights", "C4")),
        ),
        ("KL, nats per answer", (("kl/policy_reference", "D(π_θ‖π_init)", "C5"),)),
    )
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.5), sharex=True, layout="constrained")
    for axis, (title, lines) in zip(axes.flat, panels, strict=True):
        for key, label, color in lines:
            for index, result in enumerate(results):
                points = result.points(key)
                axis.plot(
                    [step for step, _ in points],
                    [value for _, value in points],
                    color=color,
                    alpha=0.8,
                    linewidth=1.2,
                    label=label if index == 0 else None,
                )
        axis.set_ylabel(title, fontsize=9)
        if title == SIZES:
            axis.set_yscale("log")  # r and 1/r are equally far from 1
        axis.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)
        axis.grid(alpha=0.25)
    for axis in axes[-1]:
        axis.set_xlabel("optimizer step")
    figure.suptitle(f"q* on the tiny world, {len(results)} seed(s)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
