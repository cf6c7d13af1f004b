"""Null where an option does not take it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from qstar_pl.cli.nulls import check_nulls, described
from qstar_pl.errors import UserError
from qstar_pl.samplers import Sampler

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("fit --model.evaluation_sampler=null", "model.evaluation_sampler must be a Sampler ("),
        ("fit --model.optimizer=null", "model.optimizer must be an Optimizer ("),
        ("fit --model.policy=null", "model.policy must be a ModelSource ("),
        ("fit --model=RewardModeling --model.model=null", "model.model must be a ModelSource ("),
        ("fit --model.target=null", "model.target must be a Target ("),
        ("fit --model.target.model=null", "--model.target.model: expected one of "),
        ("validate --data.rendering=null", "data.rendering must be a Rendering ("),
        ("predict --data.path=null", "data.path must be a text, got null"),
        ("fit --data.batch_size=null", "data.batch_size must be an integer, got null"),
        (
            "fit --trainer.callbacks+=ModelCheckpoint --trainer.callbacks.save_top_k=null",
            "trainer.callbacks.save_top_k must be an integer, got null",
        ),
        ("fit --model=null", "--model: expected a class, got null"),
        ("test --data=null", "--data: expected a class, got null"),
        ("fit --model.sampler.alpha=null", "--model.sampler.alpha: expected one of "),
        ("fit --model.reward=null", "model.reward must be given for QStar"),
    ],
)
def test_one_line(words: str, line: str, qstar: Call) -> None:
    code, _, err = qstar(*words.split())
    assert code == 2, err
    (said,) = [one for one in err.splitlines() if one.startswith("error: ")]
    assert said.startswith(f"error: {line}")
    assert said.endswith("null") or "reward" in line


def test_null_in_a_file(qstar: Call) -> None:
    Path("run.yaml").write_text("model:\n  class_path: DPO\n  init_args:\n    loss: null\n    beta: null\n")
    code, _, err = qstar("fit", "--config=run.yaml")
    assert code == 2, err
    assert "got null" in err.splitlines()[-1]


def test_where_null_is_a_value(qstar: Call) -> None:
    free = "--model.lr_scheduler=null --data.adapter=null --data.tokenizer=null --trainer.logger=null --model.gold=null"
    assert qstar("fit", *free.split(), "--trainer.callbacks=null", "--print_config")[0] == 0


class Part:
    """A class as a user may write it."""

    def __init__(self, number: int, text: str = None, free: Any = 3, plain=4, parts: "list[Part]" = ()) -> None:  # noqa: RUF013
        self.number = number


def test_a_users_class() -> None:
    path = f"{__name__}.Part"
    inner = {"class_path": path, "init_args": {"number": None}}
    check_nulls("a", {"class_path": path, "init_args": {"number": 1, "text": None, "free": None, "plain": None}})
    with pytest.raises(UserError, match=r"^a.number must be an integer, got null$"):
        check_nulls("a", inner)
    with pytest.raises(UserError, match=r"^a.parts.number must be an integer, got null$"):
        check_nulls("a", {"class_path": path, "init_args": {"number": 1, "parts": [inner]}})


def test_types_in_words() -> None:
    assert described(int | None) == "an integer"
    assert described(list[int] | str) == "a list or a text"
    assert described(Literal["a", "b"]) == "one of a, b"
    assert described(Callable[[int], Sampler]).startswith("a Sampler (")


def test_of_many_classes_the_first_are_named() -> None:
    class Kind:
        """With more classes than a line takes."""

    many = [type(f"One{number}", (Kind,), {}) for number in range(9)]
    assert described(Kind) == "a Kind (One0, One1, One2, One3, One4, One5, One6, One7, …)"
    del many
