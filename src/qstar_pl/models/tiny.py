"""What the name of a model stands for: a folder, a hub repository, or a model of the tiny world in the package."""

from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.models.hub import settle

ASSETS = Path(__file__).resolve().parents[1] / "tiny_world" / "assets"
PREFIX = "tiny/"
TINY = "tiny"
"""The tiny world as a whole: its tokenizer, and the reward model that is the default there."""
REWARD = "tiny/reward"


def belongs_to_package(name: str) -> bool:
    """Return whether a model or tokenizer of this name is the tiny world's."""
    return name == TINY or name.startswith(PREFIX)


def resolve(name: str, argument: str = "name") -> str:
    """Return the folder of an embedded model ("tiny/policy", "tiny/expert", "tiny/reward", "tiny"); others unchanged.

    Raises:
        UserError: if the name begins with "tiny/" and the package has no such folder.

    """
    if not belongs_to_package(name):
        return name
    folder = ASSETS / (REWARD if name == TINY else name).removeprefix(PREFIX)
    if not folder.is_dir():
        known = sorted(path.name for path in ASSETS.glob("*/") if path.name != "tokenizer")
        wanted = ", ".join(PREFIX + n for n in known) or "no tiny model"
        raise UserError(f"{argument} must be one of {wanted}, got {name!r}")
    return str(folder)


def resolve_tokenizer(name: str) -> str:
    """Return the folder of a model's tokenizer: all embedded models share "tiny/tokenizer", others carry their own."""
    return resolve(f"{PREFIX}tokenizer") if belongs_to_package(name) else name


def check_folder(path: str, argument: str = "name") -> None:
    """Raise UserError for what can only be a folder but is none, before a hub is asked for it over and over."""
    only_a_path = path.startswith((".", "/", "~")) or path.count("/") > 1
    if only_a_path and not Path(path).is_dir():
        raise UserError(f"{argument} must be an existing folder, got {path!r} ({Path(path).resolve()} does not exist)")
    if not Path(path).exists():
        settle()
