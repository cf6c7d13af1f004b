"""Low-rank adapters on another source's model (Hu et al. 2021), by peft: trained, stored and exported apart from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.checks import at_least, positive, within
from qstar_pl.errors import UserError
from qstar_pl.models.capabilities import Capabilities
from qstar_pl.models.configure import seeded
from qstar_pl.models.placement import empty, parameters_on_meta, place, unplaced
from qstar_pl.models.quiet import quiet
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tokenizers import first_line

_WRAPPER = "_checkpoint_wrapped_module."


@dataclass(frozen=True)
class LoRA(ModelSource):
    """A model of which only adapters train: W + alpha/rank · B A, with B = 0 at first, so π_θ starts at the base.

    Checkpoints hold the adapters and what else trains, not the base, which comes from its own source again. Where the
    base was itself trained with adapters, π_θ starts at the end of that stage; `earlier` says how.
    """

    base: ModelSource
    """The model that is adapted; its own weights stay as they are."""
    rank: int = 16
    """Inner width of every adapter, at least 1."""
    alpha: float = 32.0
    """Strength of the adapters; they are scaled by alpha/rank. Must be positive."""
    dropout: float = 0.0
    """Dropout before A, in train mode; 0 keeps π_θ the policy that was sampled from."""
    target_modules: list[str] | None = None
    """Layers that are adapted, by the ends of their names; null: those that peft knows for the architecture."""
    seed: int = 0
    """Seed of A's first values."""
    earlier: Literal["merge", "continue"] = "merge"
    """What becomes of the base's own adapters. merge: they are added to its weights, and new ones start; continue: they
    train on as they are, and rank, alpha, dropout, target_modules and seed have no effect."""

    def __post_init__(self) -> None:
        at_least(1, rank=self.rank)
        positive(alpha=self.alpha)
        within("[0, 1)", dropout=self.dropout)
        if self.earlier not in ("merge", "continue"):
            raise UserError(f"earlier must be merge or continue, got {self.earlier!r}")

    def load(self) -> PreTrainedModel:
        """See `ModelSource.load`.

        Raises:
            UserError: if peft is not installed, or no layer of the model has such a name.

        """
        with unplaced():
            model = self.base.load()
        return place(self._adapt(model, "CAUSAL_LM"))

    def load_reward(self) -> PreTrainedModel:
        """See `ModelSource.load_reward`; the scalar head trains as a whole."""
        with unplaced():
            model = self.base.load_reward()
        adapted = self._adapt(model, "SEQ_CLS")
        # peft has frozen all that is no adapter, the new head too.
        adapted.get_submodule("score").requires_grad_(True)
        return place(adapted)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """See `ModelSource.tokenizer`."""
        return self.base.tokenizer()

    def capabilities(self, tokenizer: PreTrainedTokenizerBase | None = None) -> Capabilities:
        """See `ModelSource.capabilities`."""
        return self.base.capabilities(tokenizer)

    def in_tiny_world(self) -> bool:
        """See `ModelSource.in_tiny_world`."""
        return self.base.in_tiny_world()

    def under_adapters(self) -> ModelSource | None:
        """See `ModelSource.under_adapters`."""
        # Of a class derived from this one nothing is known; adapters that train on were put on what lies under them.
        return self.base if type(self) is LoRA and self.earlier == "merge" else None

    def _adapt(self, model: PreTrainedModel, task: str) -> PreTrainedModel:
        if is_adapted(model):
            if self.earlier == "continue":
                return model.eval()
            merge_adapters(model)
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError as error:
            raise UserError("LoRA needs peft: pip install 'qstar-pl[lora]'") from error
        options: dict[str, Any] = {"r": self.rank, "lora_alpha": self.alpha, "lora_dropout": self.dropout}
        # GPT-2's layers are stored transposed; peft would find out by itself, and warn.
        transposed = model.config.model_type == "gpt2"
        config = LoraConfig(
            **options, target_modules=self.target_modules, fan_in_fan_out=transposed, task_type=task, bias="none"
        )
        try:
            with quiet(), parameters_on_meta() if empty() else seeded(self.seed):
                # Not get_peft_model, whose wrapper would change the model's class and the names of its weights.
                inject_adapter_in_model(config, model)
        except ValueError as error:
            raise UserError(
                f"target_modules must name layers of the model, got {self.target_modules}: {first_line(error)}"
            ) from error
        return model.eval()


def is_adapted(model: nn.Module) -> bool:
    """Return whether a model has adapters."""
    return any(hasattr(part, "get_base_layer") for part in model.modules())


def names_of_bases(module: nn.Module) -> set[str]:
    """Return the names, as in `state_dict`, of the parameters of adapted models in `module` that do not train."""
    found: set[str] = set()
    for prefix, part in module.named_modules():
        if isinstance(part, PreTrainedModel) and is_adapted(part):
            # Tied weights go by both of their names; a wrapper for activation checkpointing is not in theirs.
            named = part.named_parameters(prefix, remove_duplicate=False)
            found |= {name.replace(_WRAPPER, "") for name, value in named if not value.requires_grad}
    return found


def merge_adapters(model: nn.Module) -> None:
    """Add every adapter to the weights it adapts and take it out, in place; a model without adapters stays as it is."""
    adapted = [(name, part) for name, part in model.named_modules() if hasattr(part, "get_base_layer")]
    for name, part in adapted:
        part.merge()
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, part.get_base_layer())
    for part in model.modules():
        part.__dict__.pop("peft_config", None)  # peft's mark, at which new adapters would bring its warning
