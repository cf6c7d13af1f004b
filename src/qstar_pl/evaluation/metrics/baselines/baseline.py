"""What an answer must beat, as a strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.needs import Facts, Need
from qstar_pl.models.source import ModelSource


class Baseline(ABC):
    """The other answer of each comparison; a frozen dataclass whose fields are its options."""

    @property
    def needs(self) -> frozenset[Need]:
        """What of the data it compares with; a side that is just that is not compared with itself."""
        return frozenset()

    def missing(self, facts: Facts) -> str | None:
        """Return why there are no such answers, as "needs …, got …"; None if there are."""
        return None

    def sources(self) -> list[ModelSource]:
        """Return where `build` has language models from; they are asked for before a run writes anything."""
        return []

    def build(self, tokenizer: PreTrainedTokenizerBase | None) -> None:  # noqa: B027 (most need none)
        """Load the models that it needs; called once, before `texts`."""

    def models(self) -> list[nn.Module]:
        """Return what `build` loaded: frozen, moved with the method's own models, in no checkpoint."""
        return []

    @abstractmethod
    def texts(self, answers: Answers) -> list[str | None]:
        """Return what each answer [rows] is compared with; None where there is nothing."""


def stored(facts: Facts) -> str:
    """Return what there is where no model can be asked to answer now, for a message."""
    return "answers that were drawn before" if facts.tokens else "texts of a file"
