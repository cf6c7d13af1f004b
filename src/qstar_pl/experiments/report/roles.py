"""Which cell is q*, which is on-policy, which off-policy: told by the classes that a run was made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qstar_pl.experiments.report.groups import METHOD
from qstar_pl.experiments.report.reading import Results

NAMES = {
    "q*": ("q_star", "qstar", "kl"),
    "on-policy": ("on_policy", "ppo"),
    "off-policy": ("off_policy",),
}
"""Role → names of cells or methods, for folders that do not say classes."""
MIXTURES = ("GeometricSampler", "SpeculativeSampler", "SequenceGeometricSampler")


def q_star(results: Results, cells: Sequence[str]) -> str | None:
    """Return the cell that draws from π_θ^α* π_t^(1−α*)/Z with α* by KL symmetry; of several the first."""
    return _first(
        results,
        cells,
        "q*",
        lambda c: c.get("alpha") == "KLSymmetricAlpha" and c.get("sampler") in MIXTURES,
    )


def on_policy(results: Results, cells: Sequence[str]) -> str | None:
    """Return the cell that learns by PPO from π_θ's own answers; without PPO, by another gradient from them."""
    ppo = _first(results, cells, "on-policy", lambda c: c.get("model") == "PPO")
    other = ("RejectionSampling", "SFT", "SFTOnSamples")
    return ppo or _first(
        results, cells, "", lambda c: c.get("sampler") == "PolicySampler" and c.get("model") not in other
    )


def off_policy(results: Results, cells: Sequence[str]) -> str | None:
    """Return the cell that learns by reward from π_t's answers."""
    return _first(
        results,
        cells,
        "off-policy",
        lambda c: c.get("sampler") == "TargetSampler" and c.get("model") not in ("SFTOnSamples",),
    )


def fixed_alphas(results: Results, cells: Sequence[str]) -> tuple[str, ...]:
    """Return the cells whose α is one number for all contexts."""
    return tuple(cell for cell in cells if results.classes(cell).get("alpha") == "FixedAlpha")


def _first(results: Results, cells: Sequence[str], role: str, fits: Callable[[Mapping[str, str]], bool]) -> str | None:
    for cell in cells:
        classes = results.classes(cell)
        if fits(classes) if classes else _called(results, cell, role):
            return cell
    return None


def _called(results: Results, cell: str, role: str) -> bool:
    return bool({cell, results.factors(cell).get(METHOD)} & set(NAMES.get(role, ())))
