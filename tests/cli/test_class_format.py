"""Kinds of values and defaults, as they are typed."""

from qstar_pl.cli.class_format import brief, kind, shown


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
