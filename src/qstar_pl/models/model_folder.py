"""From a Lightning checkpoint to a folder that Hugging Face's Auto classes load."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qstar_pl.errors import UserError, argument_called
from qstar_pl.files import replacing
from qstar_pl.models import FromCheckpoint, LoRA, Pretrained
from qstar_pl.models.adapter_folder import write_adapter
from qstar_pl.models.exporting import write_classifier, write_language_model
from qstar_pl.models.lora import merge_adapters
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tiny import resolve


def export(
    checkpoint: str,
    output: Path,
    *,
    adapter_only: bool = False,
    base: str | None = None,
    trust_remote_code: bool = False,
    accept_changed_models: bool = False,
    card: Callable[[FromCheckpoint, str], str] | None = None,
) -> str:
    """Write the model as safetensors, and its tokenizer.

    A policy (and a token-wise reward) is written for `AutoModelForCausalLM`, a reward model with a scalar head for
    `AutoModelForSequenceClassification`; each gives the logits that it had in training, and reads padded batches (see
    `models.exporting`). Critics and β's head have no place in either and are left out.

    Args:
        checkpoint: a .ckpt file of any method.
        output: folder, made if need be; must be empty.
        adapter_only: write a PEFT folder of the adapters; otherwise they are added to the weights.
        base: folder or hub id of the model without its adapters; None: where the run had it from.
        trust_remote_code: run Python code that comes with the run's model.
        accept_changed_models: take another model under adapters than they were trained on.
        card: returns README.md, given the checkpoint and the name of the class that loads the folder; None: no card.

    Returns:
        The name of the class that loads the folder.

    Raises:
        UserError: if the checkpoint cannot be read, the folder is not empty, or adapters are to be written and the
            model has none, or a base that is no Hugging Face folder, or the disk is full: then nothing is left.

    """
    if base is not None and not adapter_only:
        raise UserError(f"base must be left out without adapter_only, got {base}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"output must be a new or an empty folder, got {output}")
    source = FromCheckpoint(
        checkpoint, trust_remote_code=trust_remote_code, accept_changed_models=accept_changed_models
    )
    with argument_called("ckpt_path", inside="path"):
        reward = source.holds_classifier()
    model = source.load_reward() if reward else source.load()
    if adapter_only:
        under = base or _base_of(source)
        with _whole(output) as folder:
            write_adapter(model, source.tokenizer(), folder, under)
            _add_card(folder, card, source, "PeftModel")
        return "PeftModel"
    merge_adapters(model)
    loaded_by = "AutoModelForSequenceClassification" if reward else "AutoModelForCausalLM"
    with _whole(output) as folder:
        (write_classifier if reward else write_language_model)(model, source.tokenizer(), folder)
        _add_card(folder, card, source, loaded_by)
    return loaded_by


def _add_card(
    folder: Path, card: Callable[[FromCheckpoint, str], str] | None, source: FromCheckpoint, loaded_by: str
) -> None:
    if card is not None:
        (folder / "README.md").write_text(card(source, loaded_by), encoding="utf-8")


@contextmanager
def _whole(output: Path) -> Iterator[Path]:
    """Yield where to write: in the end `output` is there as a whole, or not at all if the disk is full."""
    try:
        if output.exists():  # and is empty; it may be a place that cannot be renamed, as the working folder
            try:
                yield output
            except BaseException:
                for file in output.iterdir():
                    file.unlink()
                raise
        else:
            with replacing(output) as beside:
                yield beside
    except Exception as error:  # safetensors and tokenizers have types of their own, and the number in their text
        if not isinstance(error, OSError) and re.search(r"\(os error \d+\)", str(error)) is None:
            raise
        raise UserError(f"output must be a folder that can be written, got {output}: {error}") from error


def _base_of(source: ModelSource) -> str:
    """Return the folder or hub id of the model that a run's adapters were put on."""
    # Through checkpoints, and adapters that trained on ("continue"), to the model that adapters were first put on.
    while isinstance(source, FromCheckpoint) or (isinstance(source, LoRA) and source.earlier == "continue"):
        source = source.source() if isinstance(source, FromCheckpoint) else source.base
    under = source.base if isinstance(source, LoRA) else source
    if isinstance(under, Pretrained):
        return resolve(under.name)
    raise UserError(
        "base must name the folder or hub id that the adapters' base was exported to (--base FOLDER, which qstar "
        f"export writes), since the run had it from {type(under).__name__}; got none"
    )
