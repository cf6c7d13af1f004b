"""Kinds of values and defaults, as they are typed."""

from lightning.pytorch import Callback

from qstar_pl.callbacks import ESSDiagnostic
from qstar_pl.cli.class_format import brief, kind, known, shown
from qstar_pl.cli.runs.run_config import RunConfig
from qstar_pl.data import RowFilter


def test_kinds_and_defaults_are_as_typed() -> None:
    assert [kind(hint) for hint in (int, float | None, bool, list[str], dict)] == [
        "INT",
        "FLOAT",
        "true|false",
        "[TEXT,...]",
        "{KEY: VALUE}",
    ]
    assert (shown(None), shown(True), shown(0.5), shown([1, 2])) == ("null", "true", "0.5", "[1, 2]")
    spec = {"class_path": "a.b.Thing", "init_args": {"size": 3}}
    assert shown(spec) == "Thing(size=3)"
    assert shown({"class_path": "a.b.Thing", "init_args": {"text": "x" * 80}}) == "Thing"
    assert brief("The :class:`~a.B` of ``x``. More. Default: ``None``.") == "The B of x."


def test_classes_are_those_that_a_package_exports() -> None:
    names = [cls.__name__ for cls in known(Callback)]
    assert {ESSDiagnostic.__name__, "EarlyStopping"} <= set(names)
    assert names == sorted(names, key=str.lower)
    assert RunConfig.__name__ not in names, "the command line adds it by itself"
    assert "DuplicatePrompts" in [cls.__name__ for cls in known(list[RowFilter] | None)]
