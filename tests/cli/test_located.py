"""Which option a class's argument is, found by name and value."""

import pytest
from jsonargparse import Namespace

from qstar_pl.cli.located import located, with_whole_name
from qstar_pl.errors import NonFiniteError, UserError


def cls(**arguments: object) -> Namespace:
    return Namespace(class_path="a.B", init_args=Namespace(**arguments))


PARTS = {
    "model": cls(sampler=cls(top_p=0.0, temperature=-1.0), evaluation_sampler=cls(top_p=None, temperature=1.0)),
    "data": cls(path="x.jsonl", filters=[cls(max_prompt=0)], seed=3),
}


@pytest.mark.parametrize(
    ("message", "whole"),
    [
        ("top_p must lie in (0, 1], got 0.0", "model.sampler.top_p must lie in (0, 1], got 0.0"),
        ("temperature must be positive, got -1.0", "model.sampler.temperature must be positive, got -1.0"),
        ("path must hold a row, got 0 rows in x.jsonl", "data.path must hold a row, got 0 rows in x.jsonl"),
        ("max_prompt must be at least 1, got 0", "data.filters.max_prompt must be at least 1, got 0"),
        ("top_p must lie in (0, 1], got 7", "top_p must lie in (0, 1], got 7"),
        ("seed must differ, got 30", "seed must differ, got 30"),
        ("sampler must suit the target", "sampler must suit the target"),
        ("x.jsonl:1: no column", "x.jsonl:1: no column"),
    ],
)
def test_the_option_of_this_name_and_value(message: str, whole: str) -> None:
    assert with_whole_name(message, PARTS) == whole


def test_two_that_fit_are_none() -> None:
    parts = {"model": cls(policy=cls(name="x"), reward=cls(name="x"))}
    assert with_whole_name("name must lead to a model, got 'x'", parts) == "name must lead to a model, got 'x'"


def test_in_place_of_the_error() -> None:
    with pytest.raises(UserError, match=r"^data\.path must exist, got x\.jsonl$"), located(**PARTS):
        raise ValueError("wrapped") from UserError("path must exist, got x.jsonl")
    with pytest.raises(KeyError), located(**PARTS):
        raise KeyError("path must exist, got x.jsonl")
    with pytest.raises(NonFiniteError), located(**PARTS):
        raise NonFiniteError("path must exist, got x.jsonl")
