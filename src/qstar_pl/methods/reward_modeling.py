"""Reward modeling from comparisons."""

from functools import cached_property
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.evaluation.metrics import COMPARISON_METRICS, ComparisonMetric, Comparisons, Metric
from qstar_pl.methods.bases.rlhf_module import RLHFModule
from qstar_pl.models import Capabilities, Pretrained
from qstar_pl.models.reward_parametrisation import RewardParametrisation, SequenceHead
from qstar_pl.models.source import ModelSource
from qstar_pl.qstar.losses import bradley_terry_loss
from qstar_pl.qstar.preferences import reward_quantities
from qstar_pl.training.non_finite import NonFinite, Stop
from qstar_pl.types import DemonstrationBatch, PreferenceBatch, PromptBatch, StepReport


class RewardModeling(RLHFModule):
    """Fit r(x, y) to comparisons by the Bradley–Terry likelihood: loss = mean of −log σ(r_chosen − r_rejected).

    The likelihood leaves the mean reward free; `centring` (r_chosen + r_rejected)² pins it near zero (Eisenstein et
    al. 2023). `parametrisation` says what r is a function of. `rewards/*` (see `PreferenceDiagnostic`) are logged in
    training, and reported by `validate` and `test` beside `preference_accuracy` (a tie counts one half).
    """

    batch_type = PreferenceBatch

    def __init__(
        self,
        model: ModelSource = Pretrained("tiny/policy"),
        parametrisation: RewardParametrisation = SequenceHead(),
        centring: float | None = None,
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=1e-4, weight_decay=0.0),
        lr_scheduler: LRSchedulerCallable | None = None,
        on_non_finite: NonFinite = Stop(),
        metrics: list[Metric] = COMPARISON_METRICS,
        gradient_checkpointing: bool = False,
        torch_compile: bool | str = False,
    ) -> None:
        """Describe the method.

        Args:
            model: the backbone.
            parametrisation: SequenceHead gives it one scalar output, the ordinary reward model; Autoregressive and
                TokenRewards sum over tokens, for `RewardTilted`.
            centring: weight of (r_chosen + r_rejected)², at least 0; None: 0.01, or 0 for Autoregressive, whose mean
                is not free.
            optimizer: torch optimizer.
            lr_scheduler: torch schedule, stepped once per optimizer step.
            on_non_finite: Stop at the first step whose loss or gradient are not finite, or Skip such steps.
            metrics: what `validate` and `test` report of the comparisons; `metrics+=` adds to it.
            gradient_checkpointing: run each block's forward pass again in the backward pass, and keep only what lies
                between blocks: the same numbers with less memory, in about a third more time.
            torch_compile: compile the blocks of what trains; true: by torch's inductor; or the name of another backend.
                Sampling is not compiled, and numbers differ by rounding.

        """
        super().__init__(
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            on_non_finite=on_non_finite,
            metrics=metrics,
            gradient_checkpointing=gradient_checkpointing,
            torch_compile=torch_compile,
        )
        at_least(0, centring=centring)
        self.model_source = model
        self.parametrisation = parametrisation
        self.centring = parametrisation.centring if centring is None else centring

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The backbone's tokenizer, which the data is encoded with."""
        return self.model_source.tokenizer()

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the model and its tokenizer can do, as their files say it."""
        return self.model_source.capabilities(self.tokenizer)

    def sources(self) -> dict[str, ModelSource]:
        """See `RLHFModule.sources`."""
        return {"model.model": self.model_source}

    def build_models(self) -> None:
        """Load the backbone."""
        self.model = self.parametrisation.build(self.model_source)

    def trained_models(self) -> list[nn.Module]:
        """See `RLHFModule.trained_models`."""
        return [self.model]

    def on_train_start(self) -> None:
        """Switch dropout on: Hugging Face loads models in eval mode, and Lightning keeps the mode that it finds."""
        self.model.train()

    def rewards(self, batch: PreferenceBatch) -> tuple[Tensor, Tensor]:
        """Return r [pairs] of the preferred and of the other answers."""
        index = torch.arange(len(batch), device=batch.chosen_ids.device)
        chosen = self.model(batch.prompts, index, batch.chosen_ids, batch.chosen_mask)
        rejected = self.model(batch.prompts, index, batch.rejected_ids, batch.rejected_mask)
        return chosen, rejected

    def training_step(self, batch: PreferenceBatch, batch_idx: int) -> dict[str, Any]:
        """One gradient of the comparison's likelihood."""
        chosen, rejected = self.rewards(batch)
        likelihood = bradley_terry_loss(chosen, rejected).mean()
        loss = likelihood + self.centring * (chosen + rejected).square().mean()
        report = StepReport(
            loss=loss,
            terms={
                "nats_per_pair": likelihood,
                "accuracy": (((chosen - rejected).sign() + 1) / 2).mean(),  # a tie counts one half
                "margin": (chosen - rejected).mean(),
            },
            samples=len(batch),
            tokens=int(batch.chosen_mask.sum() + batch.rejected_mask.sum()),
            pairs=reward_quantities(chosen, rejected),
        )
        return self.step_output(report, loss)

    def evaluate(self, batch: PromptBatch | DemonstrationBatch | PreferenceBatch) -> None:
        """Measure how the pairs are ranked; prompts and demonstrations say nothing about a reward model."""
        if isinstance(batch, PreferenceBatch):
            chosen, rejected = self.rewards(batch)
            compared = Comparisons(batch, margins=chosen - rejected, quantities=reward_quantities(chosen, rejected))
            for metric in self.wanted():
                if isinstance(metric, ComparisonMetric):
                    self.metrics.measure(metric, compared)
