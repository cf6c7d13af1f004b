"""Another model's answers as the baseline."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.data.batches.collate import PromptCollate
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.data.text.rendering import Rendering, TokenizerRendering
from qstar_pl.evaluation.metrics.baselines.baseline import Baseline, stored
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.needs import Facts
from qstar_pl.models import LanguageModel
from qstar_pl.models.endings import add_ends
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tokenizers import vocabulary_difference


@dataclass(frozen=True)
class OtherModel(Baseline):
    """What another model answers, drawn with the policy's seed and settings.

    It may have a tokenizer of its own: then it reads the same dialogues in its own template.
    """

    model: ModelSource
    """Which model."""
    max_prompt_tokens: int = 512
    """With a tokenizer of its own: longer prompts lose their oldest turns, then tokens on the left."""
    rendering: Rendering = field(default_factory=TokenizerRendering)
    """With a tokenizer of its own: how dialogues become text."""
    _built: list[tuple[PreTrainedModel, Encoder, bool]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )
    """The model, what encodes its prompts, and whether it reads the policy's own tokens."""

    def missing(self, facts: Facts) -> str | None:
        """See `Baseline.missing`."""
        if facts.tokens and facts.redraws:
            return None
        return f"a policy to draw as, got {stored(facts)}; StoredAnswers compares with a file"

    def sources(self) -> list[ModelSource]:
        """See `Baseline.sources`."""
        return [self.model]

    def build(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        """See `Baseline.build`."""
        model, own = self.model.load(), self.model.tokenizer()
        encoder = Encoder(own, self.max_prompt_tokens, 1, rendering=self.rendering)
        add_ends(model, [encoder.end_id])
        same = tokenizer is not None and vocabulary_difference(tokenizer, own) is None
        self._built[:] = [(model, encoder, same)]

    def models(self) -> list[nn.Module]:
        """See `Baseline.models`."""
        return [model for model, _, _ in self._built]

    def texts(self, answers: Answers) -> list[str | None]:
        """See `Baseline.texts`."""
        model, encoder, same = self._built[0]
        other, prompts = LanguageModel(model, encoder.tokenizer), answers.rollout.prompts
        if same:
            return list(answers.redrawn(other))
        asked = [encoder.encode(example) for example in prompts.examples]
        own = PromptCollate(encoder.tokenizer.pad_token_id or 0)(asked).to(prompts.prompt_ids.device)
        return list(answers.redrawn(other, own))
