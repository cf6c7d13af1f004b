"""A Hugging Face causal language model as a distribution over continuations."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.models.capabilities import Capabilities
from qstar_pl.models.compiling import compiling_now, notice
from qstar_pl.models.fixed_session import FixedSession
from qstar_pl.models.freeze import eval_mode
from qstar_pl.models.inputs import check_length, fill_masked, join, unpack
from qstar_pl.models.next_token import DecodeSession, NextToken
from qstar_pl.models.placement import in_parts
from qstar_pl.models.probe import TOKENS, reading_of
from qstar_pl.models.reading import Reader, Reading
from qstar_pl.models.rewinding import rewinds
from qstar_pl.models.sessions import CachedSession, RereadingSession
from qstar_pl.types import PromptBatch


class LanguageModel(NextToken):
    """Next-token logits of a causal language model, in float32, over the ids that its tokenizer knows.

    Embeddings are often padded to a round number of rows; the rows beyond the tokenizer's ids are cut off before
    anything is normalized, so that two models with one vocabulary have distributions over the same set.

    Every row gets what it would get alone, without padding: on first use the model is tried out to see how
    that can be had (see `Reading`), and refused if it cannot.

    Without gradients, dropout is off whatever the model's mode, and the mode is left as it was found.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        """Wrap a model, without a copy.

        Args:
            model: any model of transformers' AutoModelForCausalLM that is causal.
            tokenizer: says which ids are real and which end an answer; None: the model's configuration says.

        Raises:
            UserError: if the tokenizer has a token that the model has no embedding for.

        """
        self.model = model
        self.tokenizer = tokenizer
        self.capabilities = Capabilities.of(model, tokenizer)
        self.reader = Reader(model)
        absent = self.capabilities.absent_ids
        self._absent = torch.tensor(absent, dtype=torch.int64) if absent else None

    @property
    def reading(self) -> Reading:
        """How batches are padded and cached; raises UserError for a model that cannot be read rightly in any way."""
        return reading_of(self.model, lambda: self.capabilities.ordinary_ids(TOKENS, self.tokenizer))

    @property
    def vocab_size(self) -> int:
        """See `NextToken.vocab_size`."""
        return self.capabilities.vocab_size

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """See `NextToken.eos_token_ids` and `Capabilities.end_ids`."""
        return self.capabilities.end_ids

    @property
    def rewinds(self) -> bool:
        """See `NextToken.rewinds`: not with recurrent states; with sliding windows, up to their size."""
        return rewinds(self)

    @property
    def joins(self) -> bool:
        """See `NextToken.joins`: not with recurrent states or sliding windows, nor in parts, which are kept in step."""
        # A rewind moves rows by different numbers of columns, which is what a join does.
        return self.capabilities.window is None and not in_parts(self.model) and self.rewinds

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        """See `NextToken.start`: every prompt is read once, if the model can keep what it has read."""
        check_length(self.capabilities.context, prompts.prompt_mask)
        how = compiling_now()
        if not self.reading.cache:
            if how is not None:
                notice(f"{self.capabilities.family} is not compiled for decoding: it reads whole sequences every time")
            return RereadingSession(self, prompts, samples)
        return CachedSession(self, prompts, samples) if how is None else FixedSession(self, prompts, samples, how)

    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """See `NextToken.completion_logits`; the output head runs on the completion's positions only.

        Without gradients a prompt with several answers is read once, and its cache repeated for each of them.
        """
        if self._shares_prompts(prompts, prompt_index, completion_ids.shape[1]):
            return self._continued(prompts, prompt_index, fill_masked(completion_ids, completion_mask))
        # [rows, plen + time − 1]: the last `time` columns predict the answer's tokens.
        ids, mask = _predicting(*join(prompts, prompt_index, completion_ids, completion_mask))
        return self.logits(self.read(ids, mask, completion_ids.shape[1])["logits"])

    def _shares_prompts(self, prompts: PromptBatch, prompt_index: Tensor, time: int) -> bool:
        """Return whether reading prompts once is possible, and spares at least half of their tokens."""
        # Of a model in parts all processes make as many passes, whatever the lengths of their rows; asked first, since
        # the last question may be answered by trying.
        if torch.is_grad_enabled() or len(prompt_index) < 2 * len(prompts) or in_parts(self.model):
            return False
        # A session counts the pads behind answers as tokens, which a row alone does not.
        limit = self.capabilities.context.limit
        if limit is not None and prompts.prompt_ids.shape[1] + time > limit:
            return False
        return self.reading.cache and self.rewinds

    def _continued(self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor) -> Tensor:
        session = CachedSession(self, prompts, 1)
        session.select(prompt_index)
        first = session.logits.unsqueeze(1)
        if completion_ids.shape[1] == 1:
            return first
        return torch.cat([first, session.extend(completion_ids[:, :-1])], dim=1)

    def completion_states(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (logits [rows, time, vocab], last hidden states [rows, time, width]) of one forward pass.

        Both stand where the token is predicted: the state at `time` has read the prompt and y_<time, not y_time, so a
        value head on it gives V(x, y_<t). The logits are those of `completion_logits`.
        """
        ids, mask = _predicting(*join(prompts, prompt_index, completion_ids, completion_mask))
        said = self.read(ids, mask, completion_ids.shape[1], output_hidden_states=True)
        return self.logits(said["logits"]), said["states"]

    def read(self, ids: Tensor, mask: Tensor, last: int, **options: bool) -> dict[str, Tensor]:
        """Return what the model says at the last columns of sequences, in one forward pass.

        Args:
            ids: [rows, length], pads on either side.
            mask: [rows, length] bool.
            last: number of columns.
            **options: of the model; with output_hidden_states there are "states".

        Returns:
            "logits" [rows, last, rows of the embedding] and "states" [rows, last, width].

        """
        check_length(self.capabilities.context, mask)
        padding = self.reading.padding
        # Shifted rows end in different columns: the output head cannot know which are wanted.
        arguments = self.reader.padded(ids, mask, padding) | (self.reader.last(last, ids) if padding == "left" else {})
        with nullcontext() if torch.is_grad_enabled() else eval_mode(self.model):
            output = self.model(**arguments, **options)
        said = {"logits": output.logits}
        if options.get("output_hidden_states"):
            said["states"] = output.hidden_states[-1]
        if padding == "right":
            return {name: unpack(values, mask, last) for name, values in said.items()}
        return {name: values[:, -last:] for name, values in said.items()}

    def logits(self, logits: Tensor) -> Tensor:
        """Return logits over the tokenizer's ids [..., vocab], float32 at least, from the model's own."""
        # Cut before anything is converted: the padding rows of an embedding would be copied for nothing.
        logits = logits[..., : self.vocab_size].to(torch.promote_types(logits.dtype, torch.float32))
        return logits if self._absent is None else logits.index_fill(-1, self._absent.to(logits.device), -torch.inf)


def _predicting(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return all but the last column, whose token predicts nothing that was asked for."""
    return ids[:, :-1], mask[:, :-1]
