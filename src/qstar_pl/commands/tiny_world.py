"""`qstar tiny-world`: rebuild the tokenizer and models of the tiny world.

qstar tiny-world --only reward
"""

import sys
from collections.abc import Sequence

from qstar_pl.cli.tool_parser import ToolParser

GROUP = "set-up"
"""Below which heading `qstar --help` lists it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = ToolParser("qstar tiny-world", __doc__)
    parser.add_argument(
        "--only",
        choices=("policy", "expert", "expert_weaker", "expert_equal", "reward"),
        help="make only this model again; by default all",
    )
    only = parser.parse_args(argv).only
    from qstar_pl.console import SpellingConsole
    from qstar_pl.experiments.tiny_world import LANGUAGE_MODELS, train_language_model, train_reward
    from qstar_pl.models.tiny import ASSETS
    from qstar_pl.tiny_world.tokenizer import build_tokenizer

    console = SpellingConsole()
    build_tokenizer(ASSETS / "tokenizer")
    for name, recipe in LANGUAGE_MODELS.items():
        if only not in (None, name):
            continue
        console.print(f"training {name}: {recipe}")
        train_language_model(recipe, ASSETS / name)
    if only in (None, "reward"):
        console.print("training reward")
        train_reward(ASSETS / "reward")
    size = sum(file.stat().st_size for file in ASSETS.rglob("*") if file.is_file())
    console.print(f"{ASSETS}: {size / 2**20:.2f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
