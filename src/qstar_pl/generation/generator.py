"""Generation from Python: texts, α, ESS ratios and diagnostics for a list of prompts."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.data.text.chat import Dialogues, remarks
from qstar_pl.data.text.encoding import Encoded, Encoder
from qstar_pl.data.text.keys import prompt_key
from qstar_pl.data.text.rendering import PlainRendering, TokenizerRendering
from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.errors import UserError
from qstar_pl.generation.guide import alpha_strategy
from qstar_pl.generation.module import GenerationModule
from qstar_pl.generation.parts import model_source, tokenizer_of
from qstar_pl.generation.plan import Plan, plan_batches
from qstar_pl.generation.prompts import prepare
from qstar_pl.generation.run import resolve_device
from qstar_pl.generation.settings import OF_SAMPLERS
from qstar_pl.generation.unit import UnitCollate
from qstar_pl.models.capabilities import Capabilities
from qstar_pl.models.shared import own_token_ids
from qstar_pl.models.source import ModelSource
from qstar_pl.qstar import AlphaStrategy, FixedAlpha
from qstar_pl.rollout.diagnostics import row_diagnostics, token_columns
from qstar_pl.samplers import GeometricSampler, PolicySampler, Sampler
from qstar_pl.targets import Expert
from qstar_pl.targets.target import Target
from qstar_pl.types import Example, Rollout, Turn

Prompt = str | Sequence[Mapping[str, str]]
"""A text, which is one user turn, or messages with `role` and `content`, the last of them the user's."""


@dataclass(frozen=True)
class Generation:
    """Answers; `rows` = prompts × samples in the order of the prompts, samples of one prompt adjacent."""

    texts: list[str]
    """[rows]."""
    completion_ids: Tensor
    """[rows, time] int64."""
    completion_mask: Tensor
    """[rows, time] bool: sampled tokens, EOS included; where it is False, every float is 0."""
    alpha: Tensor
    """[rows, time]: exponent of π_θ (1 without π_t)."""
    ess_ratio: Tensor
    """[rows, time]: ESS_θ(q)/ESS_t(q) per token, exact over the vocabulary; NaN where truncation makes it 0/0."""
    tokens: Mapping[str, Tensor]
    """[rows, time] each: all quantities per token; see `token_columns`."""
    diagnostics: list[dict[str, Any]]
    """[rows]: as in the diagnostics file."""


@dataclass(frozen=True)
class InMemory(ModelSource):
    """A model that the caller has loaded."""

    model: PreTrainedModel
    own_tokenizer: PreTrainedTokenizerBase

    def load(self) -> PreTrainedModel:
        """Return the model itself."""
        return self.model

    def load_reward(self) -> PreTrainedModel:
        """Raise UserError: a language model has no scalar head."""
        raise UserError("model_theta must be a source of models where a reward model is wanted, got a model")

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the tokenizer."""
        return self.own_tokenizer

    def capabilities(self, tokenizer: PreTrainedTokenizerBase | None = None) -> Capabilities:
        """See `ModelSource.capabilities`."""
        return Capabilities.of(self.model, tokenizer or self.own_tokenizer)


class QStarGenerator:
    """Samples from q ∝ π_θ^α π_t^(1−α), or from π_θ alone; the models are loaded once, by the constructor.

    >>> generator = QStarGenerator("tiny/policy", "tiny/expert", alpha="kl_symmetric")
    >>> answers = generator.generate(["How do I bake bread?"], samples_per_prompt=4, max_new_tokens=32, seed=1)
    >>> answers.texts, answers.alpha.shape  # 4 texts, [4, time]

    The answers are those of `qstar generate` for the same prompts, settings and batches.
    """

    def __init__(
        self,
        model_theta: str | ModelSource | PreTrainedModel,
        model_t: str | ModelSource | PreTrainedModel | Target | None = None,
        alpha: str | float | AlphaStrategy = "kl_symmetric",
        *,
        tokenizer: PreTrainedTokenizerBase | None = None,
        prompt_template_t: str | None = None,
        prompt_format: str = "dialogue",
        max_prompt_tokens: int = 512,
        dtype: str = "float32",
        device: str = "auto",
        sampler: Sampler | None = None,
    ) -> None:
        """Load the models.

        Args:
            model_theta: π_θ: hub id, folder, .ckpt of `qstar fit`, tiny/policy; a source; or a loaded model.
            model_t: π_t, likewise, or any target; None samples π_θ alone.
            alpha: a name of `ALPHA_METHODS`, a number for a fixed α, or a strategy.
            tokenizer: of loaded models, which come without one.
            prompt_template_t: what π_t reads instead of π_θ's prompt; see `Expert`.
            prompt_format: dialogue (the tokenizer's chat template, or HH-RLHF's form) or raw (the text as it is).
            max_prompt_tokens: longer prompts lose their oldest turns, then tokens on the left.
            dtype: of the weights of models that are given by name.
            device: auto, cpu, cuda, cuda:<number> or mps.
            sampler: how answers are drawn; None: from the mixture with `alpha`, from π_θ without π_t.

        Raises:
            UserError: if a model cannot be loaded, or π_t has another vocabulary.

        """
        if prompt_template_t is not None and model_t is None:
            raise UserError("model_t must be given where prompt_template_t is")
        if prompt_format not in ("dialogue", "raw"):
            raise UserError(f"prompt_format must be dialogue or raw, got {prompt_format!r}")
        kind, index = resolve_device(device)
        self.device = torch.device(f"{kind}:{index[0]}" if isinstance(index, list) else kind)
        self.alpha = alpha if isinstance(alpha, AlphaStrategy) else _alpha(alpha)
        policy = _source(model_theta, dtype, tokenizer, "model_theta")
        target = model_t if isinstance(model_t, Target) else None
        if model_t is not None and not isinstance(model_t, Target):
            source = _source(model_t, dtype, tokenizer, "model_t")
            own_token_ids(source, policy.tokenizer(), "model_t")
            target = Expert(source, prompt_template_t)
        strip = prompt_format != "raw"  # a raw text is continued, so white space of the answer belongs to it
        self._given = sampler
        self._module = GenerationModule(policy, target, sampler or _sampler(self.alpha, target), strip=strip)
        self._module.configure_model()  # no trainer is there to call it
        self._module.to(self.device)
        rendering = TokenizerRendering() if strip else PlainRendering()
        self._encoder = Encoder(self._module.tokenizer, max_prompt_tokens, 1, rendering=rendering)

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        samples_per_prompt: int = 1,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        batch_size: int = 8,
        num_samples: int | None = None,
    ) -> Generation:
        """Answer every prompt `samples_per_prompt` times.

        A prompt that is given twice gets different answers the second time.

        Args:
            prompts: texts or dialogues.
            samples_per_prompt: answers to each prompt.
            max_new_tokens: longest answer in tokens, EOS included; None: 128, or what a given sampler says.
            temperature: of q; None: 1.
            top_k: of q.
            top_p: of q.
            seed: of all answers.
            batch_size: prompts decoded together; prompts of similar length share a batch.
            num_samples: another name for `samples_per_prompt`; warns, since in `qstar generate` it counts rows.

        Raises:
            UserError: if there is no prompt, one is empty, or a number is out of range.

        """
        # A text is a sequence too, of letters.
        if not prompts or isinstance(prompts, str):
            raise UserError(f"prompts must be a list of at least one prompt, got {prompts!r}")
        if num_samples is not None:
            warnings.warn(
                "num_samples is taken for samples_per_prompt here; in `qstar generate` it counts rows of the dataset",
                stacklevel=2,
            )
            samples_per_prompt = num_samples
        for name, value in (("samples_per_prompt", samples_per_prompt), ("batch_size", batch_size)):
            at_least(1, **{name: value})
        module = self._module
        options = dict(zip(OF_SAMPLERS, (max_new_tokens, temperature, top_k, top_p), strict=True))
        said = {name: value for name, value in options.items() if value is not None}
        if self._given is None:
            module.sampler = _sampler(self.alpha, module.target, **{**OF_SAMPLERS, **said})
        elif said:
            raise UserError(f"{next(iter(said))} must be an option of the sampler that was given, got it beside that")
        module.samples_per_prompt, module.seed = samples_per_prompt, seed
        encoded = self._encode(prompts)
        for line in remarks(self._encoder.template, Dialogues.of(row.example.turns for row in encoded)):
            if line.startswith("warning: "):
                warnings.warn(line.removeprefix("warning: "), stacklevel=2)
        lengths = [len(row.prompt) for row in encoded]
        plan = plan_batches(lengths, batch_size, samples_per_prompt, refill=module.refills)
        module.check_lengths(max(len(row.prompt) for row in encoded))
        collate = UnitCollate(int(module.tokenizer.pad_token_id or 0), batch_size)
        # Each unit leaves the device when it is done, so that memory there does not grow with the prompts.
        rollouts = [
            rollout.to("cpu")
            for unit in plan.batches
            for rollout in module.draw_all(collate([encoded[i] for i in unit]).to(self.device).batches)
        ]
        return self._gather(rollouts, plan, encoded)

    def _encode(self, prompts: Sequence[Prompt]) -> list[Encoded]:
        seen: Counter[int] = Counter()
        encoded = []
        for number, prompt in enumerate(prompts):
            turns = _turns(prompt)
            if not any(turn.content.strip() for turn in turns):
                raise UserError(f"prompts must not be empty, got {prompt!r}")
            key = prompt_key(dialogue_prompt(turns))
            # As in `read_prompts`: answers are seeded by keys, so a repeated prompt needs a key of its own.
            encoded.append(self._encoder.encode(prepare(Example(key, turns), number, seen[key])))
            seen[key] += 1
        return encoded

    def _gather(self, rollouts: Sequence[Rollout], plan: Plan, encoded: Sequence[Encoded]) -> Generation:
        """Put the rows of all batches into the order of the prompts, padded to the longest answer."""
        module, has_target = self._module, self._module.target is not None
        # [rows]: the place in the output of each row, in the order in which they were decoded.
        order = torch.tensor([row for unit in range(len(plan.batches)) for row in plan.rows_of(unit)])
        time = max(rollout.completion_ids.shape[1] for rollout in rollouts)

        def ordered(parts: Sequence[Tensor]) -> Tensor:
            rows = torch.cat([functional.pad(part, (0, time - part.shape[1])) for part in parts])
            return torch.empty_like(rows).index_copy_(0, order, rows)

        # Without π_t, the sampler was given π_θ in its place: α is 1 and the ratio is 1.
        columns = [token_columns(rollout, target=True) for rollout in rollouts]
        tokens = {name: ordered([column[name] for column in columns]) for name in columns[0]}
        diagnostics: list[dict[str, Any]] = [{}] * plan.rows  # placeholders, all replaced below
        constants = module.fingerprints()
        rows = [
            row
            for rollout in rollouts
            for row in row_diagnostics(rollout, samples=plan.samples, target=has_target, constants=constants)
        ]
        for place, row in zip(order.tolist(), rows, strict=True):
            cut = encoded[place // plan.samples].prompt_cut
            diagnostics[place] = {"sample_idx": place // plan.samples, "prompt_cut": cut, **row}
        ids = ordered([rollout.completion_ids for rollout in rollouts])
        mask = ordered([rollout.completion_mask for rollout in rollouts])
        return Generation(
            texts=module.texts(ids, mask),
            completion_ids=ids,
            completion_mask=mask,
            alpha=tokens["alpha"],
            ess_ratio=tokens["ess_ratio"],
            tokens=tokens,
            diagnostics=diagnostics,
        )


def _turns(prompt: Prompt) -> tuple[Turn, ...]:
    if isinstance(prompt, str):
        return (Turn("user", prompt),)
    turns = tuple(Turn(message["role"], message["content"]) for message in prompt)
    if not turns or turns[-1].role != "user":
        raise UserError(f"prompts must end with the user's turn, got {prompt!r}")
    return turns


def _alpha(alpha: str | float) -> AlphaStrategy:
    return alpha_strategy(alpha) if isinstance(alpha, str) else FixedAlpha(float(alpha))


def _sampler(alpha: AlphaStrategy, target: Target | None, **options: Any) -> Sampler:
    return PolicySampler(**options) if target is None else GeometricSampler(alpha=alpha, **options)


def _source(
    model: str | ModelSource | PreTrainedModel,
    dtype: str,
    tokenizer: PreTrainedTokenizerBase | None,
    argument: str,
) -> ModelSource:
    if isinstance(model, str):
        source = model_source(model, dtype)
        tokenizer_of(source, argument)  # read now, so that an error names the argument
        return source
    if isinstance(model, ModelSource):
        return model
    if tokenizer is None:
        raise UserError(f"tokenizer must be given where {argument} is a loaded model")
    return InMemory(model, tokenizer)
