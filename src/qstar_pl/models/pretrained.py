"""Models from the Hugging Face hub, from a local folder, or embedded in the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GenerationConfig,
    GenerationMixin,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from qstar_pl.errors import UserError
from qstar_pl.models.capabilities import Capabilities, check_decoder
from qstar_pl.models.configure import DTYPES, check_options, drop_bad_pad, seeded, set_dropout, set_pad
from qstar_pl.models.folder import check_model_folder
from qstar_pl.models.hub import refused
from qstar_pl.models.lean_gelu import with_lean_gelu
from qstar_pl.models.placement import empty, parameters_on_meta, place
from qstar_pl.models.quiet import quiet
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tiny import TINY, belongs_to_package, check_folder, resolve
from qstar_pl.models.tokenizers import first_line, load_tokenizer


@dataclass(frozen=True)
class Pretrained(ModelSource):
    """Weights that exist already. Only safetensors are read, never pickles."""

    name: str
    """Hub id, local folder, or one of tiny/policy, tiny/expert, tiny/expert_weaker, tiny/expert_equal, tiny/reward,
    which come with the package.

    As a reward's model, "tiny" also means tiny/reward, but as a default for the tiny world's policies and data alone.
    """
    dtype: str = "float32"
    """float32, bfloat16, float16 or float64."""
    attn_implementation: str | None = None
    """eager, sdpa, flash_attention_2, …; None: what transformers chooses."""
    revision: str | None = None
    """Branch, tag or commit of a hub repository."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model."""
    dropout: float = 0.0
    """Every dropout probability of the model, in train mode; 0 keeps π_θ the policy that was sampled from."""

    def __post_init__(self) -> None:
        check_options(self.dtype, self.dropout)

    def load(self) -> PreTrainedModel:
        """See `ModelSource.load`; raises UserError if there is no such model or it does not fit the Auto classes."""
        if self.name == TINY:
            raise UserError("name must be tiny/policy or tiny/expert where a language model is wanted, got 'tiny'")
        return self._load(AutoModelForCausalLM)

    def load_reward(self) -> PreTrainedModel:
        """See `ModelSource.load_reward`; a head that the weights do not have is drawn from a fixed seed."""
        model = self._load(AutoModelForSequenceClassification, num_labels=1)
        # Afterwards: a pad that the configuration knew while the model was built would have had to have a row.
        set_pad(model.config, self.capabilities().embedded_pad_id)
        return model

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """See `ModelSource.tokenizer` and `ensure_pad` for where the pad token comes from."""
        return load_tokenizer(self.name, **self._hub_options())

    def capabilities(self, tokenizer: PreTrainedTokenizerBase | None = None) -> Capabilities:
        """See `ModelSource.capabilities`."""
        path, options = resolve(self.name), self._hub_options()
        with quiet():
            try:
                generation = GenerationConfig.from_pretrained(path, **options)  # nosec B615 - revision is an option
            except (OSError, ValueError, TypeError, KeyError):
                # Most folders have one; without it the configuration says what it would.
                generation = None
            return Capabilities.declared(self.configuration(), generation, tokenizer or self.tokenizer())

    def in_tiny_world(self) -> bool:
        """See `ModelSource.in_tiny_world`."""
        return belongs_to_package(self.name)

    def configuration(self) -> PretrainedConfig:
        """Return the model's configuration, without its weights; raises UserError if there is no such model."""
        path = resolve(self.name)
        check_folder(path)
        check_model_folder(Path(path), trusted=self.trust_remote_code)
        try:
            with quiet():
                return AutoConfig.from_pretrained(path, **self._hub_options())  # nosec B615 - revision is an option
        except Exception as error:  # files that anybody may have written: transformers raises what it meets
            raise self._failure(path, error) from error

    def _hub_options(self) -> dict[str, Any]:
        revision = {} if self.revision is None else {"revision": self.revision}
        return {"trust_remote_code": self.trust_remote_code, **revision}

    def _load(self, auto_class: Any, **config_options: Any) -> PreTrainedModel:
        path, config = resolve(self.name), self.configuration()
        check_decoder(config)
        # num_labels of a classifier; the dropouts must be in the configuration before the layers are built.
        config.update(config_options)
        set_dropout(config, self.dropout)
        drop_bad_pad(config)
        try:
            # A head that the weights lack is drawn while loading: seeded, it is the same in every process and run.
            with quiet(), seeded(0):
                load = self._without_weights if empty() else self._weights
                model = load(auto_class, config, path)
        except UserError:
            raise
        except Exception as error:  # files that anybody may have written: transformers raises what it meets
            raise self._failure(path, error) from error
        return place(with_lean_gelu(model.eval()))

    def _weights(self, auto_class: Any, config: PretrainedConfig, path: str) -> PreTrainedModel:
        model: PreTrainedModel
        model, report = auto_class.from_pretrained(
            path,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            **self._numerics(),
            **self._hub_options(),
        )
        body = f"{model.base_model_prefix}."
        missing = sorted(
            key
            for key in report["missing_keys"]
            # GenerationMixin marks a language model, all of whose weights must be there.
            if key.startswith(body) or isinstance(model, GenerationMixin)  # a classifier's head may be new
        )
        if missing:
            raise UserError(
                f"name must lead to the weights of {type(model).__name__}, got {self.name!r} without {len(missing)} of "
                f"them {missing[:2]}"
            )
        return model

    def _without_weights(self, auto_class: Any, config: PretrainedConfig, path: str) -> PreTrainedModel:
        with parameters_on_meta():
            model: PreTrainedModel = auto_class.from_config(
                config, trust_remote_code=self.trust_remote_code, **self._numerics()
            )
        return model

    def _numerics(self) -> dict[str, Any]:
        return {"dtype": DTYPES[self.dtype], "attn_implementation": self.attn_implementation}

    def _failure(self, path: str, error: BaseException) -> UserError:
        reason = first_line(error)
        # A tiny name that became a folder, or a folder: then no hub was asked.
        if path != self.name or Path(path).is_dir():
            return UserError(
                f"name must be a folder with a model that transformers can load, got {self.name!r}: {reason}"
            )
        wanted = "a local folder, a model on the Hugging Face hub, or one of tiny/policy, tiny/expert, tiny/reward"
        missing = f"name must be {wanted}, got {self.name!r}: no folder {Path(path).resolve()}, and from the hub: "
        return refused(missing, reason, error)
