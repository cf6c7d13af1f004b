"""Adding up what several passes report."""

from collections.abc import Sequence

import torch

from qstar_pl.types import LossReport


def sum_of(reports: Sequence[LossReport], divisor: float = 1.0) -> LossReport:
    """Return the sums of loss and terms over `reports`, divided by `divisor`."""
    terms = {name: torch.stack([report.terms[name] for report in reports]).sum() / divisor for name in reports[0].terms}
    return LossReport(torch.stack([report.loss for report in reports]).sum() / divisor, terms)
