"""Models with random weights, for smoke tests at full size without a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from qstar_pl.errors import UserError
from qstar_pl.models.capabilities import Capabilities
from qstar_pl.models.configure import DTYPES, check_options, seeded, set_dropout, set_pad
from qstar_pl.models.lean_gelu import with_lean_gelu
from qstar_pl.models.placement import empty, parameters_on_meta, place
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tiny import belongs_to_package
from qstar_pl.models.tokenizers import first_line, load_tokenizer, vocabulary_size


@dataclass(frozen=True)
class FromConfig(ModelSource):
    """Random weights of a known architecture: `FromConfig()` is GPT-2 at its full 124M parameters."""

    model_type: str = "gpt2"
    """Architecture: gpt2, llama, gpt_neox, qwen2 or another one that transformers knows."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Fields of its configuration to set, e.g. {n_layer: 2, n_embd: 64, n_head: 2}; the rest keep their defaults."""
    seed: int = 0
    """Seed of the weights; the global random state is not touched."""
    tokenizer_name: str = "tiny"
    """"tiny" (comes with the package), a local folder or a hub id; may have fewer tokens than the embedding."""
    dtype: str = "float32"
    """float32, bfloat16, float16 or float64."""
    attn_implementation: str | None = None
    """eager, sdpa, flash_attention_2, …; None: what transformers chooses."""
    dropout: float = 0.0
    """Every dropout probability of the model, in train mode; 0 keeps π_θ the policy that was sampled from."""

    def __post_init__(self) -> None:
        check_options(self.dtype, self.dropout)
        self._config()

    def load(self) -> PreTrainedModel:
        """See `ModelSource.load`."""
        return self._load(AutoModelForCausalLM)

    def load_reward(self) -> PreTrainedModel:
        """See `ModelSource.load_reward`."""
        return self._load(AutoModelForSequenceClassification, num_labels=1)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """See `ModelSource.tokenizer`."""
        return load_tokenizer(self.tokenizer_name)

    def capabilities(self, tokenizer: PreTrainedTokenizerBase | None = None) -> Capabilities:
        """See `ModelSource.capabilities`."""
        return self._fitted(tokenizer or self.tokenizer())[1]

    def in_tiny_world(self) -> bool:
        """See `ModelSource.in_tiny_world`; random weights know no world, but a vocabulary."""
        return belongs_to_package(self.tokenizer_name)

    def _config(self, **options: Any) -> PretrainedConfig:
        try:
            # A configuration takes any field and keeps it, so a misspelled one would go unnoticed.
            default = AutoConfig.for_model(self.model_type)
            unknown = [name for name in self.overrides if not hasattr(default, name)]
            if unknown:
                raise UserError(f"overrides must name fields of a {self.model_type} configuration, got {unknown[0]!r}")
            return AutoConfig.for_model(self.model_type, **{**self.overrides, **options})
        # It is a ValueError too, and already says what is wrong.
        except UserError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"model_type must be an architecture, got {self.model_type!r}: {first_line(error)}"
            ) from error

    def _fitted(self, tokenizer: PreTrainedTokenizerBase, **options: Any) -> tuple[PretrainedConfig, Capabilities]:
        """Return the configuration behind this tokenizer, and what a model of it can do."""
        # An architecture's default ids belong to its own tokenizer.
        ids = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos")}
        config = self._config(**ids, **options)
        rows = Capabilities.declared(config).rows
        if vocabulary_size(tokenizer) > rows:
            raise UserError(
                f"overrides.vocab_size must hold the tokenizer's {vocabulary_size(tokenizer)} tokens, got {rows}"
            )
        capabilities = Capabilities.declared(config, None, tokenizer)
        set_pad(config, capabilities.embedded_pad_id)
        return config, capabilities

    def _load(self, auto_class: Any, **options: Any) -> PreTrainedModel:
        config, _ = self._fitted(self.tokenizer(), **options)
        set_dropout(config, self.dropout)
        with parameters_on_meta() if empty() else seeded(self.seed):
            model: PreTrainedModel = auto_class.from_config(
                config, dtype=DTYPES[self.dtype], attn_implementation=self.attn_implementation
            )
        return place(with_lean_gelu(model.eval()))
