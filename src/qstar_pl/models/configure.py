"""Options that Pretrained and FromConfig share: dtype, dropout, seeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import PretrainedConfig

from qstar_pl.checks import within
from qstar_pl.errors import UserError

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


def check_options(dtype: str, dropout: float) -> None:
    """Raise UserError for a dtype that is not known or a dropout outside [0, 1)."""
    if dtype not in DTYPES:
        raise UserError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    within("[0, 1)", dropout=dropout)


def set_dropout(config: PretrainedConfig, dropout: float) -> None:
    """Set every dropout probability of a model's configuration and of those inside it, whatever they are called.

    With any dropout the policy that is differentiated is not the policy that was sampled from, and the ratio of the
    two is not 1 on the first pass. What else is random in train mode is switched off for good: whole layers that are
    skipped (`layerdrop`) and noise on a router's input (`jitter`), neither of which is dropout as users ask for it.
    """
    for name, value in vars(config).items():
        if isinstance(value, PretrainedConfig):
            set_dropout(value, dropout)
        elif isinstance(value, float | int) and not isinstance(value, bool):
            if "layerdrop" in name or "jitter" in name:
                _set(config, name, 0.0)
            elif "drop" in name:
                _set(config, name, dropout)


def _set(config: PretrainedConfig, name: str, value: float) -> None:
    whole = isinstance(getattr(config, name), int) and value == int(value)
    # MPT declares one of its probabilities to be an integer, which is then all that its configuration takes.
    try:
        setattr(config, name, int(value) if whole else value)
    except StrictDataclassError as error:
        raise UserError(
            f"dropout must be 0 for {config.model_type or type(config).__name__}, whose {name} takes no fraction, "
            f"got {value}"
        ) from error


def set_pad(config: PretrainedConfig, pad_id: int | None) -> None:
    """Tell a configuration, and the text part of a composed one, what pads."""
    for part in (config, config.get_text_config()):
        part.pad_token_id = pad_id


def drop_bad_pad(config: PretrainedConfig) -> None:
    """Forget a pad id that the embedding has no row for (−1, or one that a tokenizer appended): it builds no model."""
    text = config.get_text_config()
    for part in (config, text):
        pad = getattr(part, "pad_token_id", None)
        if pad is not None and not 0 <= pad < text.vocab_size:
            part.pad_token_id = None


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a generator seeded with `seed` inside the block; the global generator is left as it was found."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also reseed the accelerators.
        torch.default_generator.manual_seed(seed)
        yield
