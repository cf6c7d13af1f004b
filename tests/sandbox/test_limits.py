import os
from pathlib import Path

import pytest

from qstar_pl.sandbox import Isolation, Limits, SandboxError
from qstar_pl.sandbox.namespaces import _refusal

WALLS = ("user", "processes", "network", "files", "seccomp", "other_user")


@pytest.mark.parametrize(
    ("name", "value"),
    [("wall_s", 0), ("wall_s", float("nan")), ("wall_s", 1e9), ("cpu_s", 0), ("memory_mib", 1), ("processes", 0)],
)
def test_bounds(name, value):
    with pytest.raises(SandboxError, match=f"{name} must be"):
        Limits(**{name: value})


def test_every_missing_wall_is_said_aloud():
    bare = Isolation(**dict.fromkeys(WALLS, False))
    assert bare.describe().count("NOT") == 4
    assert not bare.offline
    full = Isolation(**dict.fromkeys(WALLS, True))
    assert "NOT" not in full.describe()
    assert full.offline
    filtered = Isolation(**{**dict.fromkeys(WALLS, False), "seccomp": True})
    assert filtered.offline
    assert "NOT" not in filtered.describe()
    assert "no network namespace" in filtered.describe()


def test_what_was_refused_is_said():
    walls = Isolation(**dict.fromkeys(WALLS, False), reason="pivot_root: Invalid argument")
    assert "pivot_root: Invalid argument" in walls.describe()
    assert _refusal(lambda: None) is None
    assert _refusal(lambda: Path("/nowhere").rmdir()) == "[Errno 2] No such file or directory: '/nowhere'"
    assert _refusal(lambda: os._exit(1)) == "it was ended"


def test_sockets_that_no_namespace_bounds():
    spaces = {**dict.fromkeys(WALLS, True), "seccomp": False}
    assert Isolation(**spaces).offline
    assert Isolation(**spaces).warning() is None
    assert not Isolation(**spaces, vsock=True).offline
    assert "vsock" in Isolation(**spaces, vsock=True).warning()
    assert Isolation(**{**spaces, "seccomp": True}, vsock=True).offline


def test_a_lost_private_root_is_warned_of():
    assert "open no file" in Isolation(**{**dict.fromkeys(WALLS, True), "files": False}).warning()
    assert Isolation(**dict.fromkeys(WALLS, True)).warning() is None
