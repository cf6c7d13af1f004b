"""`qstar export`: write a checkpoint's model as a folder that Hugging Face's classes can load.

That is the policy, or the reward model of a checkpoint that holds one, with its tokenizer.

    qstar export --ckpt_path version_0/checkpoints/last.ckpt --output my_model

A model card, README.md, says how the model was trained. Nothing leaves the machine unless --push_to_hub asks for it;
the login is that of `hf auth login`, or HF_TOKEN.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError

GROUP = "generate"
"""Below which heading `qstar --help` lists it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = ToolParser("qstar export", __doc__)
    parser.add_argument("--ckpt_path", required=True, help="a .ckpt file that qstar fit wrote")
    parser.add_argument("--output", type=place, required=True, help="folder to write; new or empty")
    parser.add_argument("--adapter_only", action="store_true", help="write LoRA's adapters alone, as a PEFT folder")
    parser.add_argument(
        "--base",
        help="with --adapter_only: folder or hub id of the model under the adapters; default: that of the checkpoint",
    )
    parser.add_argument("--trust_remote_code", action="store_true", help="run Python code that comes with the model")
    parser.add_argument(
        "--accept_changed_models", action="store_true", help="take another model under adapters than they trained on"
    )
    parser.add_argument("--push_to_hub", metavar="USER/NAME", help="upload the folder to this repository of the hub")
    parser.add_argument("--private", action="store_true", help="with --push_to_hub: make a new repository private")
    arguments = parser.parse_args(argv)
    from qstar_pl.models.model_folder import export
    from qstar_pl.publishing.card import card_of
    from qstar_pl.publishing.hub import check_push, push

    if arguments.push_to_hub is not None:
        check_push(arguments.push_to_hub)
    elif arguments.private:
        raise UserError("private must be left out without push_to_hub, got true")
    name = export(
        arguments.ckpt_path,
        arguments.output,
        adapter_only=arguments.adapter_only,
        base=arguments.base,
        trust_remote_code=arguments.trust_remote_code,
        accept_changed_models=arguments.accept_changed_models,
        card=card_of,
    )
    given = "base, " if arguments.adapter_only else ""
    print(f"written: {arguments.output}")
    print(f"  load it:  {name}.from_pretrained({given}{str(arguments.output)!r})", flush=True)
    if arguments.push_to_hub is not None:
        print(f"pushed: {push(arguments.output, arguments.push_to_hub, private=arguments.private)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
