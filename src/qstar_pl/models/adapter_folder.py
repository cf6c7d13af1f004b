"""Folders that peft loads: the adapters of a model, without the model."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.files import open_weights

_OURS = "default"
"""What peft calls the adapter of `inject_adapter_in_model`."""
_PEFT = "base_model.model."
"""What it puts before the names of a model that it has wrapped."""


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
