"""π_t is another causal language model."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.models.freeze import freeze
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.next_token import DecodeSession, NextToken
from qstar_pl.models.policy_base import borrowed
from qstar_pl.models.pretrained import Pretrained
from qstar_pl.models.relabeled import Relabeled
from qstar_pl.models.shared import own_token_ids
from qstar_pl.models.source import ModelSource
from qstar_pl.targets.prompt_template import PromptTemplate
from qstar_pl.targets.token_target import TokenTarget
from qstar_pl.types import PromptBatch


class Expert(TokenTarget):
    """A frozen causal language model with the policy's vocabulary, by token text: the ids may be others.

    A DPO checkpoint is one: it is π_ref · exp(r/β)/Z of its implicit reward r in closed form (Rafailov et al. 2023).

    Where the policy has its weights under adapters (`PolicyBase`, or the very source that a `LoRA` policy has as its
    base), the expert is read there, and needs no memory of its own.

    With a prompt template the expert reads the prompts in its own words, e.g. behind an instruction that the policy
    is to do without; the answers stay the same tokens.
    """

    expert: PreTrainedModel

    def __init__(self, model: ModelSource = Pretrained("tiny/expert"), prompt_template: str | None = None) -> None:
        """Describe the expert; nothing is loaded yet.

        Args:
            model: where it comes from.
            prompt_template: what it reads instead of the policy's prompt: a text with {prompt} where the policy's
                rendered prompt goes, or a chat template in Jinja for the turns of the dialogue; None: the prompt as
                the policy reads it.

        """
        super().__init__()
        self.model = model
        self.template = None if prompt_template is None else PromptTemplate(prompt_template)
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._tokens: NextToken | None = None
        self._rendered: tuple[PromptBatch, PromptBatch] | None = None

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Target.build`."""
        # What the policy holds anyway is not loaded again.
        source = borrowed(self.model)
        # Before the weights are loaded: a vocabulary that does not fit costs no model load.
        own_ids = own_token_ids(source, tokenizer, "target.model")
        self.expert = freeze(source.load())
        self._tokenizer = tokenizer
        if own_ids is None:
            self._tokens = LanguageModel(self.expert, tokenizer)
        else:
            # With the expert's own tokenizer inside: it says which of its ids are real and which end an answer.
            self._tokens = Relabeled(LanguageModel(self.expert, self.model.tokenizer()), torch.tensor(own_ids))

    @property
    def tokens(self) -> NextToken:
        """The expert as a distribution over next tokens, in the policy's ids; `build` makes it."""
        if self._tokens is None:
            raise RuntimeError("Expert.build must be called before the expert is asked for anything")
        return self._tokens

    def read_by_expert(self, prompts: PromptBatch) -> PromptBatch:
        """Return the prompts as the expert reads them."""
        if self.template is None or self._tokenizer is None:
            return prompts
        # Finished answers come in chunks of rows that share one batch of prompts: it is rendered once.
        if self._rendered is None or self._rendered[0] is not prompts:
            self._rendered = prompts, self.template.apply(prompts, self._tokenizer)
        return self._rendered[1]

    @property
    def vocab_size(self) -> int:
        """See `NextToken.vocab_size`."""
        return self.tokens.vocab_size

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """See `NextToken.eos_token_ids`."""
        return self.tokens.eos_token_ids

    @property
    def rewinds(self) -> bool:
        """See `NextToken.rewinds`."""
        return self.tokens.rewinds

    def read_by(self, prompts: PromptBatch) -> tuple[NextToken, PromptBatch]:
        """See `NextToken.read_by`."""
        return self.tokens, self.read_by_expert(prompts)

    @property
    def joins(self) -> bool:
        """See `NextToken.joins`."""
        return self.tokens.joins

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        """See `NextToken.start`."""
        return self.tokens.start(self.read_by_expert(prompts), samples)

    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """See `NextToken.completion_logits`."""
        own = self.read_by_expert(prompts)
        return self.tokens.completion_logits(own, prompt_index, completion_ids, completion_mask)
