import pytest

from qstar_pl.errors import UserError
from qstar_pl.execution import Isolation, Limits

WALLS = ("user", "processes", "network", "files", "seccomp", "other_user")


@pytest.mark.parametrize(
    ("name", "value"),
    [("wall_s", 0), ("wall_s", float("nan")), ("wall_s", 1e9), ("cpu_s", 0), ("memory_mib", 1), ("processes", 0)],
)
def test_bounds(name, value):
    with pytest.raises(UserError, match=f"{name} must be"):
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
