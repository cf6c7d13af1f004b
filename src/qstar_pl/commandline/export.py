"""`qstar export`: from a Lightning checkpoint to a folder that Hugging Face's Auto classes load."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from qstar_pl.commandline.tool_parser import ToolParser
from qstar_pl.errors import UserError
from qstar_pl.models import FromCheckpoint
from qstar_pl.models.exporting import write_classifier, write_language_model
from qstar_pl.models.lora import merge_adapters


def export(checkpoint: str, output: Path) -> str:
    """Write the model as safetensors, and its tokenizer.

    A policy (and a token-wise reward) is written for `AutoModelForCausalLM`, a reward model with a scalar head for
    `AutoModelForSequenceClassification`; each gives the logits that it had in training, and reads padded
    batches (see `models.exporting`). Critics and β's head have no
    place in either and are left out.

    Args:
        checkpoint: a .ckpt file of any method.
        output: folder, made if need be; must be empty.

    Returns:
        The name of the Auto class that loads the folder.

    Raises:
        UserError: if the checkpoint cannot be read or the folder is not empty.

    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"output must be a new or an empty folder, got {output}")
    source = FromCheckpoint(checkpoint)
    reward = source.holds_classifier()
    model = source.load_reward() if reward else source.load()
    merge_adapters(model)
    (write_classifier if reward else write_language_model)(model, source.tokenizer(), output)
    return "AutoModelForSequenceClassification" if reward else "AutoModelForCausalLM"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = ToolParser(
        prog="qstar export",
        description="Write the policy (or the reward model) of a checkpoint as a Hugging Face folder, with tokenizer.",
    )
    parser.add_argument("--ckpt_path", required=True, help="a .ckpt file that qstar fit wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder to write; new or empty")
    arguments = parser.parse_args(argv)
    name = export(arguments.ckpt_path, arguments.output)
    print(f"{name}.from_pretrained({str(arguments.output)!r})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
