"""A classifier of texts as a reward."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.models.context import context_of
from qstar_pl.models.folder import check_model_folder
from qstar_pl.models.freeze import freeze
from qstar_pl.models.hub import refused
from qstar_pl.models.quiet import quiet
from qstar_pl.models.tokenizers import first_line
from qstar_pl.rewards.reward import Reward
from qstar_pl.types import Rollout

OPTION = "reward.model"
NO_LIMIT = 2**31
"""A tokenizer that knows no longest text says more than this."""


class ClassifierReward(Reward):
    """The probability that a classifier of texts gives to a label, e.g. that an answer is harmless.

    Any `AutoModelForSequenceClassification` with named labels, encoders such as BERT included. It reads the answer's
    text by its own tokenizer; what is longer than its context loses its end. Labels exclude each other (softmax) unless
    the model's configuration says that a text may have several (sigmoid).
    """

    classifier: PreTrainedModel

    def __init__(
        self,
        model: str,
        label: str,
        harmful: bool = False,
        with_prompt: bool = False,
        rows_per_chunk: int = 32,
        revision: str | None = None,
    ) -> None:
        """Describe the reward; nothing is loaded yet.

        Args:
            model: hub id or local folder; only safetensors are read, and no code that comes with it is run.
            label: one of its labels, as its configuration names them.
            harmful: the label names what is bad ("toxic"): the reward is 1 minus its probability.
            with_prompt: the classifier reads the user's last turn and the answer, as a pair of texts.
            rows_per_chunk: answers scored in one forward pass, at least 1.
            revision: branch, tag or commit of a hub repository.

        """
        super().__init__()
        at_least(1, rows_per_chunk=rows_per_chunk)
        if not model:
            raise UserError("model must be a hub id or a folder, got nothing")
        self.model = model
        self.label = label
        self.harmful = harmful
        self.with_prompt = with_prompt
        self.rows_per_chunk = rows_per_chunk
        self.revision = revision

    def build(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        """See `Reward.build`; the policy's tokenizer is not needed.

        Raises:
            UserError: if there is no such classifier, it has no such label, or its head was never trained.

        """
        options = {} if self.revision is None else {"revision": self.revision}
        check_model_folder(Path(self.model), OPTION)
        try:
            with quiet():
                config = AutoConfig.from_pretrained(self.model, **options)  # nosec B615 - revision is an option
                self._index = self._label_index(config)
                # The classifier's own side of padding: a model that counts positions from the left end needs the right.
                self._tokenizer = AutoTokenizer.from_pretrained(self.model, **options)  # nosec B615
                network, report = AutoModelForSequenceClassification.from_pretrained(  # nosec B615
                    self.model, config=config, use_safetensors=True, output_loading_info=True, **options
                )
        except UserError:
            raise
        except Exception as error:  # files that anybody may have written: transformers raises what it meets
            place = Path(self.model)
            absent = "" if place.is_dir() else f"no folder {place.resolve()}, and from the hub: "
            wanted = f"{OPTION} must be a classifier of texts, got {self.model!r}: {absent}"
            raise refused(wanted, first_line(error), error) from error
        if report["missing_keys"]:
            missing = ", ".join(sorted(report["missing_keys"])[:2])
            raise UserError(f"{OPTION} must be a trained classifier, got {self.model!r}, whose weights lack {missing}")
        self.classifier = freeze(network)

    def _label_index(self, config: PretrainedConfig) -> int:
        labels = {str(name): int(index) for index, name in (config.id2label or {}).items()}
        if self.label not in labels:
            raise UserError(
                f"reward.label must be one of {', '.join(labels)}, which {self.model} has, got {self.label!r}"
            )
        return labels[self.label]

    @torch.no_grad()
    def score(self, rollout: Rollout, completions: Sequence[str]) -> Tensor:
        """See `Reward.score`; in [0, 1]."""
        if not hasattr(self, "classifier"):
            raise RuntimeError("ClassifierReward.build must be called before anything is scored")
        prompts = [rollout.prompts.examples[index].turns[-1].content for index in rollout.prompt_index.tolist()]
        device = rollout.completion_ids.device
        # A model that knows no pad finds an answer's end only where it stands alone.
        step = self.rows_per_chunk if self.classifier.config.pad_token_id is not None else 1
        found = [torch.zeros(0, device=device)]
        for start in range(0, len(completions), step):
            rows = slice(start, start + step)
            texts = (prompts[rows], list(completions[rows])) if self.with_prompt else (list(completions[rows]),)
            found.append(self._probabilities(*texts).to(device))
        probabilities = torch.cat(found)
        return 1 - probabilities if self.harmful else probabilities

    def _probabilities(self, *texts: list[str]) -> Tensor:
        longest = min(self._tokenizer.model_max_length, context_of(self.classifier).limit or NO_LIMIT)
        inputs = self._tokenizer(
            *texts,
            padding=len(texts[0]) > 1,
            truncation=longest < NO_LIMIT,
            max_length=longest if longest < NO_LIMIT else None,
            return_tensors="pt",
        )
        logits: Tensor = self.classifier(**inputs.to(self.classifier.device)).logits.float()
        config: Any = self.classifier.config
        several = config.problem_type == "multi_label_classification" or logits.shape[-1] == 1
        return (logits.sigmoid() if several else logits.softmax(-1))[:, self._index]
