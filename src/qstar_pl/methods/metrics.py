"""The numbers that `validate` and `test` report, summed over all batches and ranks before a mean is formed."""

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric


def take(metric: MeanMetric) -> Tensor | None:
    """Return the metric's mean over all ranks and start it anew; None if it saw no data."""
    value = metric.compute() if metric.update_called else None
    # `Trainer.validate` runs in inference mode: tensors made there could not be added to in a later `fit`.
    with torch.inference_mode(False):
        metric.reset()
    return value


class EvaluationMetrics(nn.Module):
    """One mean per metric; each is fed rows (never batch means), so no batch or rank weighs more than its rows."""

    def __init__(self) -> None:
        super().__init__()
        self.reward_proxy = MeanMetric()
        self.reward_gold = MeanMetric()
        self.kl_policy_reference = MeanMetric()
        self.completion_length = MeanMetric()
        self.ended_fraction = MeanMetric()
        self.nats_per_token = MeanMetric()
        self.preference_accuracy = MeanMetric()
        self.beta = MeanMetric()

    def update_preferences(self, margins: Tensor) -> None:
        """Count a pair as right if its margin [pairs] is positive, as half right if it is zero."""
        self.preference_accuracy.update((margins.sign() + 1) / 2)

    def flush(self, prefix: str) -> dict[str, Tensor]:
        """Return `<prefix>/<metric>` of all metrics that saw data, and start anew."""
        values: dict[str, Tensor] = {}
        for name, metric in self.named_children():
            assert isinstance(metric, MeanMetric)
            if (value := take(metric)) is not None:
                values[f"{prefix}/{name}"] = value
        if (nats := values.pop(f"{prefix}/nats_per_token", None)) is not None:
            values[f"{prefix}/perplexity"] = torch.exp(nats)
        return values
