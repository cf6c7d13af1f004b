"""Pairs of Gaussians in the plane that the pictures show."""

from __future__ import annotations

from collections.abc import Mapping

from qstar_pl.theory.gaussian import Gaussian

SCENES: Mapping[str, tuple[Gaussian, Gaussian]] = {
    "separated": (Gaussian((-2.0, 0.0), (1.0, 1.0)), Gaussian((2.0, 1.0), (1.0, 1.0))),
    "nested": (Gaussian((0.0, 0.0), (2.0, 2.0)), Gaussian((0.3, 0.2), (0.7, 0.7))),
    "sharp_and_flat": (Gaussian((-1.5, 0.0), (2.2, 0.6)), Gaussian((1.5, 0.5), (0.5, 1.6))),
    "near": (Gaussian((-0.2, 0.0), (1.0, 1.1)), Gaussian((0.3, 0.2), (1.1, 0.9))),
}
"""Name of the figure → π_θ and π_t."""
