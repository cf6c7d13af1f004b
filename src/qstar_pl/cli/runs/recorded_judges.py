"""Records in a run's configuration the rewards that it left to the data."""

from __future__ import annotations

from jsonargparse import Namespace

from qstar_pl.methods.bases.policy_module import PolicyModule
from qstar_pl.rewards import Reward


def record_judges(arguments: Namespace, module: PolicyModule) -> None:
    """Write the rewards that `settle_judges` took from the data into a method's arguments."""
    for name in ("reward", "gold"):
        judge, said = getattr(module, name), arguments.get(name)
        # Compared by short names, since a class may be given by the path of a package that exports it.
        if judge is None and said is not None:
            arguments[name] = None
        elif judge is not None and (said is None or _class_path(judge).rpartition(".")[2] != _short_name(said)):
            arguments[name] = Namespace(class_path=_class_path(judge), init_args=Namespace())


def _class_path(judge: Reward) -> str:
    return f"{type(judge).__module__}.{type(judge).__qualname__}"


def _short_name(said: Namespace) -> str:
    return str(said.class_path).rpartition(".")[2]
