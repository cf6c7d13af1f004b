"""π_t is another causal language model."""

from __future__ import annotations

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.models.freeze import freeze
from qstar_pl.models.pretrained import Pretrained
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tokenizers import vocabulary_difference
from qstar_pl.rollout.language_model import LanguageModel
from qstar_pl.rollout.next_token import DecodeSession
from qstar_pl.targets.target import Target
from qstar_pl.types import PromptBatch


class Expert(Target):
    """A frozen causal language model with the policy's vocabulary.

    A DPO checkpoint is one: it is π_ref · exp(r/β)/Z of its implicit reward r in closed form (Rafailov et al. 2023).
    """

    expert: PreTrainedModel

    def __init__(self, model: ModelSource = Pretrained("tiny/expert")) -> None:
        """Describe the expert; nothing is loaded yet.

        Args:
            model: where it comes from.

        """
        super().__init__()
        self.model = model
        self._tokenizer: PreTrainedTokenizerBase | None = None

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Target.build`."""
        difference = vocabulary_difference(tokenizer, self.model.tokenizer())
        if difference is not None:
            raise UserError(f"target.model must share the policy's vocabulary, got {difference}")
        self.expert = freeze(self.model.load())
        self._tokenizer = tokenizer

    @property
    def tokens(self) -> LanguageModel:
        """The expert as a distribution over next tokens; `build` makes it."""
        if self._tokenizer is None:
            raise RuntimeError("Expert.build must be called before the expert is asked for anything")
        return LanguageModel(self.expert, self._tokenizer)

    @property
    def vocab_size(self) -> int:
        """See `NextToken.vocab_size`."""
        return self.tokens.vocab_size

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """See `NextToken.eos_token_ids`."""
        return self.tokens.eos_token_ids

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        """See `NextToken.start`."""
        return self.tokens.start(prompts, samples)

    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """See `NextToken.completion_logits`."""
        return self.tokens.completion_logits(prompts, prompt_index, completion_ids, completion_mask)
