"""Folders that peft loads: the adapters of a model, without the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.files import open_weights
from qstar_pl.models.tokenizers import first_line

_OURS = "default"
"""What peft calls the adapter of `inject_adapter_in_model`."""
_PEFT = "base_model.model."
"""What it puts before the names of a model that it has wrapped."""


_UNREAD = ("use_dora", "modules_to_save", "layer_replication", "lora_bias", "alora_invocation_tokens")
"""Options of peft under which an adapter is more than a low-rank term of each layer."""


@dataclass(frozen=True)
class AdapterWeights:
    """The adapters of a folder, as numbers."""

    folder: str
    """Where they were read."""
    matrices: Mapping[str, tuple[Tensor, Tensor]]
    """Name of the layer in the model → A [rank, in] and B [out, rank]."""
    config: Mapping[str, Any]
    """adapter_config.json."""

    def scaling(self, name: str, rank: int) -> float:
        """Return what B · A is multiplied with in a layer (rank-stabilized: Kalajdzievski 2023)."""
        alpha = self.config.get("lora_alpha") or 8  # peft's default
        if patterns := self.config.get("alpha_pattern"):
            from peft.utils.other import get_pattern_key

            alpha = patterns.get(get_pattern_key(patterns.keys(), name), alpha)
        return float(alpha) / (rank**0.5 if self.config.get("use_rslora") else rank)


def read_adapter(folder: Path) -> AdapterWeights:
    """Read what `write_adapter` or peft has written.

    Raises:
        UserError: if it is no folder with low-rank adapters, or they are more than that (DoRA, biases, whole layers).

    """
    wanted = "adapter must be a folder that peft or `qstar export --adapter_only` wrote"
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        said = f"no file {error.filename}" if isinstance(error, FileNotFoundError) else first_line(error)
        raise UserError(f"{wanted}, got {folder}: {said}") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise UserError(f"{wanted} of plain LoRA, got {folder}")
    more = [name for name in _UNREAD if config.get(name)]
    if config.get("bias", "none") != "none":
        more.append("bias")
    if more:
        raise UserError(f"{wanted} of plain LoRA, got {folder} with {more[0]}")
    matrices: dict[str, list[Tensor | None]] = {}
    for key, value in weights.items():
        name, _, kind = key.removeprefix(_PEFT).rpartition(".lora_")
        if kind not in ("A.weight", "B.weight"):
            raise UserError(f"{wanted} of plain LoRA, got {folder} with {key}")
        matrices.setdefault(name, [None, None])["AB".index(kind[0])] = value
    pairs = {name: (a, b) for name, (a, b) in matrices.items() if a is not None and b is not None}
    if not pairs or len(pairs) < len(matrices):
        raise UserError(f"{wanted}, got {folder}, in which matrices are missing")
    return AdapterWeights(str(folder), pairs, config)


def write_adapter(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, base: str) -> None:
    """Write adapters for `peft.PeftModel.from_pretrained(<model of `base`>, folder)`, and the tokenizer.

    Args:
        model: adapted by `LoRA`; a classifier's head, which trains as a whole, is written too.
        tokenizer: of the model.
        folder: made if need be.
        base: folder or hub id of the model without its adapters, which the configuration names.

    Raises:
        UserError: if the model has no adapters.

    """
    from peft import LoraConfig

    layers = {name: part for name, part in model.named_modules() if hasattr(part, "get_base_layer")}
    if not layers:
        raise UserError("adapter_only must be given for a model that was trained with LoRA, got one without adapters")
    layer = next(iter(layers.values()))
    head = hasattr(model, "score")
    config = LoraConfig(
        r=layer.r[_OURS],
        lora_alpha=layer.lora_alpha[_OURS],
        # peft puts an Identity where dropout is 0.
        lora_dropout=getattr(layer.lora_dropout[_OURS], "p", 0.0),
        fan_in_fan_out=layer.fan_in_fan_out,
        target_modules=sorted(layers),
        modules_to_save=["score"] if head else None,
        task_type="SEQ_CLS" if head else "CAUSAL_LM",
        inference_mode=True,
        base_model_name_or_path=base,
    )
    weights: dict[str, torch.Tensor] = {
        # As peft names them in a file: its wrapper in front, and no adapter's name inside.
        _PEFT + name.replace(f".{_OURS}", ""): value.detach().contiguous()
        for name, value in model.state_dict().items()
        if ".lora_" in name or (head and name.startswith("score."))
    }
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(str(folder))
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    open_weights(folder)
    tokenizer.save_pretrained(folder)
