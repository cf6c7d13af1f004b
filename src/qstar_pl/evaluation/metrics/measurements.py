"""The metrics of a method, and what they have measured so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.distributed.ranks import gathered, said_by_ranks
from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics.metric import Metric
from qstar_pl.models.freeze import freeze


class Measurements(nn.Module):
    """Adds up the sums of metrics, over batches on the device and over ranks when they are reported.

    A module, so that the models of metrics move to the method's device with it; none of them is ever saved.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        super().__init__()
        # `metrics+=` may name one that the method has already: it is measured once.
        self.of_all = tuple(metric for number, metric in enumerate(metrics) if metric not in metrics[:number])
        self._sums: list[dict[str, Tensor]] = [{} for _ in self.of_all]

    def build(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Load what the metrics need."""
        for metric in self.of_all:
            metric.build(tokenizer)
        self.models = nn.ModuleList(freeze(model) for metric in self.of_all for model in metric.models())

    def due(self, *, fitting: bool) -> list[Metric]:
        """Return the metrics that are measured now: all, but within `fit` none that is expensive."""
        return [metric for metric in self.of_all if not (fitting and metric.expensive)]

    def add(self, metric: Metric, sums: Mapping[str, Tensor]) -> None:
        """Add the sums of a batch."""
        so_far = next(own for one, own in zip(self.of_all, self._sums, strict=True) if one is metric)
        for name, value in sums.items():
            if value.numel() != 1:
                raise ValueError(f"{type(metric).__name__}.sums must add up rows, got {name} of shape {[*value.shape]}")
            so_far[name] = so_far.get(name, 0.0) + value.detach().float().reshape(())

    def flush(self, prefix: str, device: torch.device) -> dict[str, Tensor | float]:
        """Return `<prefix>/<key>` of all that was measured on any rank, and start anew; every rank must call it.

        Raises:
            UserError: if two metrics report under one key.

        """
        values: dict[str, Tensor | float] = {}
        reported_by: dict[str, Metric] = {}
        for metric, sums in zip(self.of_all, self._over_ranks(device), strict=True):
            for key, value in (metric.compute(sums) if sums else {}).items():
                if key in reported_by:
                    names = [type(one).__name__ for one in (reported_by[key], metric)]
                    raise UserError(f"metrics must report under keys of their own, got {key} of {' and '.join(names)}")
                reported_by[key] = metric
                values[f"{prefix}/{key}"] = value
        self._sums = [{} for _ in self.of_all]
        return values

    def _over_ranks(self, device: torch.device) -> list[dict[str, Tensor]]:
        """Return the sums of each metric over all ranks: a rank may have measured what another one had no rows for."""
        own = [(index, name) for index, sums in enumerate(self._sums) for name in sums]
        # The same slots in the same order on every rank, which `gathered` needs.
        slots = sorted(set().union(*said_by_ranks(own)))
        if not slots:
            return [{} for _ in self.of_all]
        zero = torch.zeros((), device=device)
        vector = torch.stack([self._sums[index].get(name, zero).to(device) for index, name in slots])
        # Each slot is summed by itself, so that its last digit does not depend on what else is measured.
        totals = gathered(vector).T.contiguous().sum(-1)
        reduced: list[dict[str, Tensor]] = [{} for _ in self.of_all]
        for (index, name), value in zip(slots, totals.unbind(), strict=True):
            reduced[index][name] = value
        return reduced
