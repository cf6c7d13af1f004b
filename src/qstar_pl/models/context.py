"""How many tokens a model can read: its learned positions, or those that its rotary angles were made for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

# How configurations call it, the most common first; `attribute_map` leads n_positions and others to the first.
_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "max_target_positions")
_GROWING = ("dynamic", "longrope")
"""Kinds of rotary angles that change for *all* tokens once a sequence, or another one of its batch, gets longer."""
_NEARLY = 8
"""Rows that a table of positions may have besides the positions: OPT and BioGPT have 2."""


@dataclass(frozen=True)
class Context:
    """The longest sequence, prompt and answer together."""

    limit: int | None
    """In tokens; None: no limit (recurrent models, ALiBi)."""
    reason: str = "positions"
    """What there are `limit` of, for messages: "… must fit into the model's <limit> <reason>"."""


def declared_context(config: PretrainedConfig) -> Context:
    """Return what a text model's configuration says."""
    found = [value for name in _NAMES if isinstance(value := getattr(config, name, None), int) and value > 0]
    limit = found[0] if found else None
    for angles in _rotary(config):
        kind = angles.get("rope_type", angles.get("type"))
        if kind in _GROWING:
            # Phi-3 states it beside the angles, not among them.
            own = angles.get("original_max_position_embeddings") or getattr(
                config, "original_max_position_embeddings", None
            )
            exact = int(own or limit or 0)
            if exact and (limit is None or exact <= limit):
                reason = f"positions up to which its rotary angles ({kind}) do not change with a sequence's length"
                return Context(exact, reason)
    return Context(limit)


def make_room(config: PretrainedConfig, tokens: int) -> None:
    """Raise the number of positions in a text model's configuration to at least `tokens`, before a model is built."""
    if getattr(config, _NAMES[0], tokens) < tokens:
        setattr(config, _NAMES[0], tokens)


def window_of(config: PretrainedConfig) -> int | None:
    """Return how many columns the layers with the shortest sight look back; None: all of them see everything."""
    kinds = getattr(config, "layer_types", None)
    found = []
    for kind, name in (("sliding", "sliding_window"), ("chunked", "attention_chunk_size")):
        size = getattr(config, name, None)
        if isinstance(size, int) and (kinds is None or any(kind in layer for layer in kinds)):
            found.append(size)
    return min(found, default=None)


def context_of(model: PreTrainedModel) -> Context:
    """Return what the configuration says, less the rows that a table of positions keeps for pads (RoBERTa and kin)."""
    declared = declared_context(model.config.get_text_config())
    if declared.limit is None:
        return declared
    words = model.get_input_embeddings()
    limit = declared.limit
    for table in model.modules():
        if isinstance(table, nn.Embedding) and table is not words and table.padding_idx is not None:
            rows = table.num_embeddings
            if abs(rows - declared.limit) <= _NEARLY:
                # These models count positions from padding_idx + 1.
                limit = min(limit, rows - table.padding_idx - 1)
    return Context(limit, declared.reason)


def _rotary(config: PretrainedConfig) -> Iterator[Mapping[str, Any]]:
    """Yield the parameters of rotary angles, of each kind of layer where they differ."""
    for name in ("rope_parameters", "rope_scaling"):
        value = getattr(config, name, None)
        if isinstance(value, Mapping):
            yield value
            yield from (part for part in value.values() if isinstance(part, Mapping))
