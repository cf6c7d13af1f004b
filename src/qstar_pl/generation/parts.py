"""From settings to the parts of a run: policy, target, sampler and data, as given or built from the guide's words."""

from __future__ import annotations

import json

from jsonargparse import ArgumentError, ArgumentParser
from transformers import PreTrainedTokenizerBase

from qstar_pl.data.adapters.adapter import RowSource
from qstar_pl.data.text.rendering import PlainRendering, TokenizerRendering
from qstar_pl.errors import UserError
from qstar_pl.generation.data import GenerationData
from qstar_pl.generation.guide import ADAPTER_WORDS, DEFAULT_ALPHA, alpha_strategy
from qstar_pl.generation.module import GenerationModule
from qstar_pl.generation.prompts import choose_source
from qstar_pl.generation.settings import OF_SAMPLERS, GenerationSettings
from qstar_pl.models import FromCheckpoint, Pretrained
from qstar_pl.models.shared import own_token_ids
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tiny import resolve
from qstar_pl.samplers import GeometricSampler, PolicySampler, Sampler
from qstar_pl.targets import Expert
from qstar_pl.targets.target import Target


def build(settings: GenerationSettings) -> tuple[GenerationModule, GenerationData]:
    """Return the module and data that `settings` describe; models are not loaded, tokenizers are.

    Raises:
        UserError: if a model has no tokenizer, or π_t another vocabulary.

    """
    policy, data = policy_of(settings), data_of(settings)
    module = GenerationModule(
        policy,
        target_of(settings, policy),
        sampler_of(settings),
        samples_per_prompt=settings.samples_per_prompt,
        seed=settings.seed,
        save_tokens=settings.save_diagnostics == "tokens",
        strip=not isinstance(data.rendering, PlainRendering),
        refill=settings.refill,
    )
    return module, data


def policy_of(settings: GenerationSettings) -> ModelSource:
    """Return where π_θ comes from."""
    if settings.policy is not None:
        return settings.policy
    return named(settings.model_theta or "", "model_theta", settings)


def target_of(settings: GenerationSettings, policy: ModelSource) -> Target | None:
    """Return π_t; None if there is none."""
    tokenizer = tokenizer_of(policy, "model_theta" if settings.policy is None else "policy")
    if settings.target is not None or settings.model_t is None:
        return settings.target
    source = named(settings.model_t, "model_t", settings)
    tokenizer_of(source, "model_t")
    own_token_ids(source, tokenizer, "model_t")  # raises for another vocabulary, before anything is loaded
    return Expert(source, settings.prompt_template_t)


def sampler_of(settings: GenerationSettings) -> Sampler:
    """Return q."""
    if settings.sampler is not None:
        return settings.sampler
    options = {name: getattr(settings, name) for name in OF_SAMPLERS}
    if not settings.has_target:
        return PolicySampler(**options)
    fixed = 0.5 if settings.fixed_alpha is None else settings.fixed_alpha
    return GeometricSampler(alpha=alpha_strategy(settings.alpha_method or DEFAULT_ALPHA, fixed), **options)


def data_of(settings: GenerationSettings) -> GenerationData:
    """Return the prompts."""
    if settings.data is not None:
        return GenerationData.of(settings.data)
    return GenerationData(
        settings.dataset,
        source_of(settings),
        settings.dataset_split,
        settings.prompt_field,
        settings.response_field,
        PlainRendering() if settings.prompt_format == "raw" else TokenizerRendering(),
        start_idx=settings.start_idx,
        end_idx=settings.last_row,
        batch_size=settings.batch_size,
        max_prompt_tokens=settings.max_prompt_tokens,
        max_left_out=settings.max_left_out,
    )


def source_of(settings: GenerationSettings) -> RowSource | None:
    """Return what reads the rows; None: chosen by `prompt_field`, or by the columns that exist."""
    if settings.dataset_adapter == "deepscaler":
        return choose_source(settings.dataset, settings.prompt_field, settings.response_field, deepscaler=True)
    return None if settings.dataset_adapter in ADAPTER_WORDS else adapter_of(settings.dataset_adapter)


def named(name: str, argument: str, settings: GenerationSettings) -> ModelSource:
    """Return the source of a model that is given by name; raises UserError, naming the argument, for no tiny model."""
    resolve(name, argument)
    return model_source(name, settings.dtype, settings.trust_remote_code)


def model_source(name: str, dtype: str, trust_remote_code: bool = False) -> ModelSource:
    """Return the source of a model: a checkpoint of `qstar fit`, or a name that `Pretrained` knows."""
    if name.endswith(".ckpt"):
        return FromCheckpoint(name, trust_remote_code=trust_remote_code)
    return Pretrained(name, dtype=dtype, trust_remote_code=trust_remote_code)


def adapter_of(text: str | None) -> RowSource | None:
    """Return the adapter that a class name, or {"class_path": …, "init_args": …}, stands for."""
    if text is None:
        return None
    # jsonargparse resolves short class names and builds nested arguments, as in YAML.
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--dataset_adapter", type=RowSource)
    try:
        value = json.loads(text) if text.lstrip().startswith("{") else text
        adapter: RowSource = parser.instantiate(parser.parse_object({"dataset_adapter": value})).dataset_adapter
    except (ArgumentError, ValueError, TypeError) as error:
        raise UserError(
            f"dataset_adapter must be one of {', '.join(ADAPTER_WORDS)}, the name of a class such as HHRLHF, or "
            f'{{"class_path": …, "init_args": …}}, got {text}: {str(error).strip().splitlines()[-1].strip(" -")}'
        ) from error
    return adapter


def tokenizer_of(source: ModelSource, argument: str) -> PreTrainedTokenizerBase:
    """Return a model's tokenizer; an error names the user's argument that the model comes from."""
    try:
        return source.tokenizer()
    except UserError as error:
        raise UserError(f"{argument}: {error}") from error
