"""What a report is about: data, answers, what was left out, versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from qstar_pl import __version__
from qstar_pl.evaluating.items import NO_ANSWER, Item
from qstar_pl.evaluating.prompts import Prompts
from qstar_pl.evaluating.sources import Answered

PACKAGES = ("torch", "transformers", "numpy", "scipy", "statsmodels")
"""On which numbers may depend in their last digits."""


def about(prompts: Prompts, items: Sequence[Item], answered: Mapping[str, Answered]) -> dict[str, Any]:
    """Return what stands in results.json beside the numbers."""
    left_out = dict(sorted(prompts.left_out.items()))
    if without := len(prompts) - len(items):
        left_out[NO_ANSWER] = without
    found: dict[str, Any] = {
        "data": {
            "name": prompts.name,
            "rows": len(prompts) + prompts.left_out.total(),
            "evaluated": len(items),
            "left_out": left_out,
            "digest": prompts.digest,
        }
    }
    for side, one in answered.items():
        counts = [len(getattr(item, side)) for item in items]
        said = {"answers": sum(counts), "fewest_to_a_prompt": min(counts), "most_to_a_prompt": max(counts)}
        ignored = {"of_prompts_that_are_not_evaluated": one.ignored} if one.ignored else {}
        found[side] = {**one.facts, **said, **ignored}
    found["versions"] = {"qstar_pl": __version__, **{name: version(name) for name in PACKAGES}}
    return found
