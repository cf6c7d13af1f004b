"""q* in Hugging Face's `generate`: a logits processor that turns the scores of π_θ into log q."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase
from transformers.generation import GenerationMode

from qstar_pl.errors import UserError
from qstar_pl.integrations.mixing import check_width, mix
from qstar_pl.integrations.recording import Recorded, Recorder
from qstar_pl.models import DecodeSession, LanguageModel, NextToken
from qstar_pl.qstar import AlphaStrategy, KLSymmetricAlpha
from qstar_pl.types import PromptBatch


@dataclass
class _Followed:
    """One call of `generate`: the rows that it has shown, and π_t behind them."""

    ids: Tensor
    """[rows, length] int64."""
    prompt_length: int
    session: DecodeSession


class QStarLogitsProcessor(LogitsProcessor):
    """Makes `model.generate(do_sample=True, logits_processor=[processor])` draw from q = π_θ^α π_t^(1−α)/Z.

    `model` is π_θ. The scores that leave the processor are log q, normalized, so that a draw from their softmax is one
    from q, token by token as `GeometricSampler` draws. Temperature, top-k and top-p of `generate` come behind it and
    act on q; what comes before it (repetition penalty, forbidden words, a least length) acts on π_θ.

    π_t has a cache of its own, which follows the rows of one call after another: several answers per prompt, batches
    and new prompts need nothing from the user. Where prompts are padded, `attend` says which columns are pads; without
    it they are the ids at a row's beginning that equal `pad_token_id`.

    Beams, assisted generation and contrastive search do not draw token by token, and are refused with a UserError.
    """

    def __init__(
        self,
        target: PreTrainedModel | NextToken,
        *,
        tokenizer: PreTrainedTokenizerBase | None = None,
        alpha: AlphaStrategy = KLSymmetricAlpha(),
        pad_token_id: int | None = None,
        record: bool = False,
    ) -> None:
        """Take π_t; nothing is read yet.

        Args:
            target: π_t, any causal language model with the policy's vocabulary, or a `NextToken`.
            tokenizer: of both models, needed where an embedding has more rows than it has tokens.
            alpha: how the exponent of π_θ is chosen at every token.
            pad_token_id: what prompts are padded with; None: the target's.
            record: whether to keep α, log Z and the log-probabilities of drawn tokens, for `recorded`.

        """
        self.target = LanguageModel(target, tokenizer) if isinstance(target, PreTrainedModel) else target
        self.alpha = alpha
        own = self.target.capabilities.pad_id if isinstance(self.target, LanguageModel) else None
        self._pad = own if pad_token_id is None else pad_token_id
        self._mask: Tensor | None = None
        self._followed: _Followed | None = None
        self._recorder = Recorder() if record else None

    def attend(self, attention_mask: Tensor) -> QStarLogitsProcessor:
        """Say which columns of the next call's prompts are tokens: its `attention_mask` [prompts, length].

        Needed once per call of `generate` whose prompts are padded with a token that may also begin a prompt (EOS).
        """
        mask = attention_mask.bool()
        if not bool(mask[:, -1].all()) or bool((mask[:, 1:] < mask[:, :-1]).any()):
            raise UserError("attention_mask must have its pads on the left, got tokens before pads")
        self._mask = mask
        self.reset()
        return self

    def reset(self) -> None:
        """Forget the rows followed so far, and π_t's cache of them; the next call begins anew."""
        self._followed = None

    @torch.no_grad()
    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return log q [rows, width] for the rows `input_ids` [rows, length] with the scores of π_θ [rows, width]."""
        check_width(scores.shape[-1], self.target)
        if self._goes_on(input_ids):
            self._advance(input_ids)
        else:
            _check_mode()
            self._start(input_ids)
        assert self._followed is not None
        step = mix(scores, self._followed.session.logits.to(scores.device), self.alpha)
        if self._recorder is not None:
            self._recorder.keep(step)
        return step.scores

    def recorded(self, sequences: Tensor) -> Recorded:
        """Return what is known of the tokens drawn by the last call of `generate`, exact for each of them.

        Args:
            sequences: [rows, length] what it returned.

        Raises:
            UserError: without `record=True`, or if these are not the rows of the last call.

        """
        if self._recorder is None:
            raise UserError("record must be True for a processor that is asked for columns, got False")
        known = self._followed
        if known is None or not torch.equal(sequences[:, : known.ids.shape[1]], known.ids):
            raise UserError("sequences must be those of the last call of generate, got others")
        return self._recorder.read(sequences[:, known.prompt_length :], self.target.eos_token_ids)

    def _goes_on(self, ids: Tensor) -> bool:
        """Return whether `ids` are the known rows and one token each; else a new call has begun."""
        known = self._followed
        if known is None or len(ids) != len(known.ids):
            return False
        before = ids[:, :-1]
        if before.shape != known.ids.shape:
            return False
        if torch.equal(before, known.ids):
            return True
        if all(bool((known.ids == row).all(-1).any()) for row in before):
            raise UserError("rows must stay in their order from token to token (num_beams 1), got them in another")
        return False

    def _advance(self, ids: Tensor) -> None:
        assert self._followed is not None
        if self._recorder is not None:
            self._recorder.drawn(ids[:, -1])
        # Ended rows go on with pads, and a pad may have no row in the embedding.
        last = ids[:, -1].masked_fill(ids[:, -1] >= self.target.vocab_size, 0)
        self._followed.session.advance(self._own(last))
        self._followed.ids = ids.clone()  # generate may write into its own

    def _start(self, ids: Tensor) -> None:
        mask = self._prompt_mask(ids)
        # Answers to one prompt are rows that are equal: each prompt is read once.
        both = torch.cat([torch.where(mask, ids, 0), mask.long()], dim=1)
        prompts, rows = torch.unique(both, dim=0, return_inverse=True)
        prompt_ids, prompt_mask = prompts.chunk(2, dim=1)
        batch = PromptBatch(
            self._own(prompt_ids), self._own(prompt_mask.bool()), torch.arange(len(prompts), device=ids.device), ()
        )
        session = self.target.start(batch, 1)
        session.select(self._own(rows))
        self._followed = _Followed(ids.clone(), ids.shape[1], session)
        if self._recorder is not None:
            self._recorder.clear()

    def _prompt_mask(self, ids: Tensor) -> Tensor:
        """Return where tokens stand in new prompts [rows, length]."""
        given, self._mask = self._mask, None
        if given is not None:
            answers, left = divmod(len(ids), len(given))
            if left or given.shape[1] != ids.shape[1]:
                raise UserError(
                    "attention_mask must be that of the prompts, got shape "
                    f"{tuple(given.shape)} for rows of shape {tuple(ids.shape)}"
                )
            return given.to(ids.device).repeat_interleave(answers, dim=0)
        ends = self.target.eos_token_ids
        if (self._pad is None or self._pad in ends) and bool(torch.isin(ids[:, 0], ids.new_tensor(ends)).any()):
            raise UserError(
                "attention_mask must be given where prompts begin with an id that may be a pad: "
                f"call attend(attention_mask) before generate, got a prompt that begins with EOS ({ids[:, 0].tolist()})"
            )
        if self._pad is None:
            return torch.ones_like(ids, dtype=torch.bool)
        mask = (ids != self._pad).cummax(dim=1).values
        if not bool(mask[:, -1].all()):
            raise UserError(f"input_ids must have a token in every row, got one of pads ({self._pad}) alone")
        return mask

    def _own(self, values: Tensor) -> Tensor:
        """Return `values` where π_t computes."""
        return values.to(self.target.model.device) if isinstance(self.target, LanguageModel) else values


def _check_mode() -> None:
    """Raise UserError if the call of `generate` that is going on does more than draw or take the likeliest token.

    Processors are not told how their scores are used: the nearest caller with a `generation_config` knows.
    """
    frame = inspect.currentframe()
    while frame is not None:
        config = frame.f_locals.get("generation_config")
        if isinstance(config, GenerationConfig):
            mode = "assisted_generation" if config.is_assistant else config.get_generation_mode().value
            if mode not in (GenerationMode.SAMPLE.value, GenerationMode.GREEDY_SEARCH.value):
                raise UserError(f"generate must draw q* token by token (sample or greedy_search), got {mode}")
            return
        frame = frame.f_back
