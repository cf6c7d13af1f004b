"""The rewards of a run in its configuration, where they were left to the data."""

from __future__ import annotations

from jsonargparse import Namespace

from qstar_pl.methods.bases.policy_module import PolicyModule
from qstar_pl.rewards import Reward


def record_judges(arguments: Namespace, module: PolicyModule) -> None:
    """Let a method's arguments say which rewards it has, where they were left to the data (`settle_judges`)."""
    for name in ("reward", "gold"):
        judge, said = getattr(module, name), arguments.get(name)
        if judge is None and said is not None:
            arguments[name] = None
        elif judge is not None and (said is None or _class_path(judge).rpartition(".")[2] != _short_name(said)):
            arguments[name] = Namespace(class_path=_class_path(judge), init_args=Namespace())


def _class_path(judge: Reward) -> str:
    return f"{type(judge).__module__}.{type(judge).__qualname__}"


def _short_name(said: Namespace) -> str:
    return str(said.class_path).rpartition(".")[2]
