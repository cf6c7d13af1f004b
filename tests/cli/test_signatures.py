"""What a class takes, through its bases."""

from typing import Any

from qstar_pl.cli.signatures import parameters


class Base:
    def __init__(self, metrics: int = 1, rate: float = 0.5) -> None:
        pass


class Handing(Base):
    def __init__(self, rate: float = 0.1, **kwargs: Any) -> None:
        super().__init__(rate=rate, **kwargs)


class Closed(Base):
    def __init__(self, policy: str | None = None) -> None:
        super().__init__()


class BelowClosed(Closed):
    def __init__(self, more: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)


def taken(cls: type) -> dict[str, Any]:
    return {name: one.default for name, one in parameters(f"{__name__}.{cls.__name__}").items()}


def test_arguments_of_bases_count_as_far_as_they_are_handed_on() -> None:
    assert taken(Base) == {"metrics": 1, "rate": 0.5}
    assert taken(Handing) == {"metrics": 1, "rate": 0.1}
    assert taken(Closed) == {"policy": None}
    assert taken(BelowClosed) == {"policy": None, "more": 2}
    assert parameters(f"{__name__}.Closed")["policy"].admits_null()
    assert not parameters(f"{__name__}.Base")["rate"].admits_null()
