"""A Hugging Face causal language model as a distribution over continuations."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.models.capabilities import Capabilities
from qstar_pl.models.freeze import eval_mode
from qstar_pl.models.inputs import check_length, check_tokens, fill_masked, join, position_ids, unpack
from qstar_pl.models.next_token import DecodeSession, NextToken
from qstar_pl.models.probe import TOKENS, reading_of
from qstar_pl.models.reading import Reader, Reading, repeat_cache
from qstar_pl.types import PromptBatch


class LanguageModel(NextToken):
    """Next-token logits of a causal language model, in float32, over the ids that its tokenizer knows.

    Embeddings are often padded to a round number of rows; the rows beyond the tokenizer's ids are cut off before
    anything is normalised, so that two models with one vocabulary have distributions over the same set.

    Every row gets what it would get alone, without padding: on first use the model is asked how that is to be had
    (see `Reading`), and refused if it is not.

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

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        """See `NextToken.start`: every prompt is read once, if the model can keep what it has read."""
        check_length(self.capabilities.context, prompts.prompt_mask)
        return (CachedSession if self.reading.cache else RereadingSession)(self, prompts, samples)

    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """See `NextToken.completion_logits`; the output head runs on the completion's positions only."""
        ids, mask = _predicting(*join(prompts, prompt_index, completion_ids, completion_mask))
        return self.logits(self.read(ids, mask, completion_ids.shape[1])["logits"])

    def completion_states(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (logits [rows, time, vocab], last hidden states [rows, time, width]) of one forward pass.

        Both stand where the token is predicted: the state at `time` has read the prompt and y_<time, not y_time, so a
        value head on it gives V(x, y_<t). The logits are bitwise those of `completion_logits`.
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
        arguments = self.reader.padded(ids, mask, padding) | (self.reader.last(last) if padding == "left" else {})
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
        logits = logits[..., : self.vocab_size].to(torch.promote_types(logits.dtype, torch.float32))
        return logits if self._absent is None else logits.index_fill(-1, self._absent.to(logits.device), -torch.inf)


def _predicting(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return all but the last column, whose token predicts nothing that was asked for."""
    return ids[:, :-1], mask[:, :-1]


class CachedSession(DecodeSession):
    """One growing batch with its cache; every prompt is read once, then its cache is repeated for each of its rows."""

    def __init__(self, owner: LanguageModel, prompts: PromptBatch, samples: int) -> None:
        """Read the prompts.

        Args:
            owner: the model.
            prompts: padded on the left.
            samples: rows per prompt.

        """
        self._owner = owner
        mask = prompts.prompt_mask
        # Without any pad there is nothing to mask out, and attention without a mask is the faster one.
        self._mask = None if bool(mask.all()) else mask
        self._positions = mask.long().sum(-1, keepdim=True)
        with torch.no_grad(), eval_mode(owner.model):
            ids = fill_masked(prompts.prompt_ids, mask)
            logits, cache = owner.reader.begin(ids, self._mask, position_ids(mask))
            self._cache = repeat_cache(cache, len(ids), samples)
        if samples != 1:
            logits = logits.repeat_interleave(samples, dim=0)
            self._positions = self._positions.repeat_interleave(samples, dim=0)
            self._mask = None if self._mask is None else self._mask.repeat_interleave(samples, dim=0)
        self._length = int(self._positions.max())
        self._logits = owner.logits(logits)

    @property
    def logits(self) -> Tensor:
        """See `DecodeSession.logits`."""
        return self._logits

    def advance(self, token_ids: Tensor) -> None:
        """See `DecodeSession.advance`."""
        self._length += 1
        check_tokens(self._owner.capabilities.context, self._length)
        if self._mask is not None:
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        with torch.no_grad(), eval_mode(self._owner.model):
            logits, self._cache = self._owner.reader.step(
                token_ids.unsqueeze(-1), self._mask, self._positions, self._cache
            )
        self._positions = self._positions + 1
        self._logits = self._owner.logits(logits)


class RereadingSession(DecodeSession):
    """One growing batch of a model that keeps nothing that could be repeated: every token costs a reading of it all."""

    def __init__(self, owner: LanguageModel, prompts: PromptBatch, samples: int) -> None:
        """Read the prompts; arguments as of `CachedSession`."""
        self._owner = owner
        self._ids = prompts.prompt_ids.repeat_interleave(samples, dim=0)
        self._mask = prompts.prompt_mask.repeat_interleave(samples, dim=0)
        self._logits = self._read()

    @property
    def logits(self) -> Tensor:
        """See `DecodeSession.logits`."""
        return self._logits

    def advance(self, token_ids: Tensor) -> None:
        """See `DecodeSession.advance`."""
        self._ids = torch.cat([self._ids, token_ids.unsqueeze(-1)], dim=1)
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        self._logits = self._read()

    def _read(self) -> Tensor:
        with torch.no_grad():
            return self._owner.logits(self._owner.read(self._ids, self._mask, 1)["logits"][:, -1])
