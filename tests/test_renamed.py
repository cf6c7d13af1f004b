"""Class paths of earlier versions, as users, their YAML and their checkpoints hold them."""

import importlib
from pathlib import Path

import pytest
import torch

from qstar_pl import renamed
from qstar_pl.checkpoints.stored_config import without_risks
from qstar_pl.cli.layers.checkpoints import checkpoint_layer
from qstar_pl.cli.layers.given import Given

OLD = (
    "qstar_pl.data.filters.DuplicatePrompts",
    "qstar_pl.data.length_filter.LengthFilter",
    "qstar_pl.data.range_filter.RangeFilter",
    "qstar_pl.data.renderings.ChatRendering",
    "qstar_pl.data.renderings.PlainRendering",
    "qstar_pl.data.reward_margin_filter.RewardMarginFilter",
    "qstar_pl.execution.Limits",
    "qstar_pl.execution.limits.Limits",
    "qstar_pl.methods.beta_head.BetaHead",
    "qstar_pl.methods.beta_head.Softplus",
    "qstar_pl.methods.beta_objective.HeldOut",
    "qstar_pl.methods.keep.KeepBest",
    "qstar_pl.methods.kl_controller.AdaptiveKL",
    "qstar_pl.methods.non_finite.Skip",
)
LIMITS = "qstar_pl.execution.limits.Limits"


@pytest.mark.parametrize("path", OLD)
def test_an_old_path_leads_to_the_class_of_that_name(path: str) -> None:
    module, _, name = renamed.current(path).rpartition(".")
    assert isinstance(getattr(importlib.import_module(module), name), type)


@pytest.mark.parametrize("old", renamed.MOVED)
def test_what_the_table_says_is_so(old: str) -> None:
    new = renamed.MOVED[old]
    assert renamed.current(new) == new, "a chain has its end in one entry"
    with pytest.raises((ImportError, AttributeError)):
        _found(old)
    assert _found(new)


def _found(path: str) -> object:
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


def test_only_whole_parts_of_a_path_are_replaced() -> None:
    assert renamed.current("qstar_pl.executions.Limits") == "qstar_pl.executions.Limits"
    assert renamed.current("qstar_pl.methods.QStar") == "qstar_pl.methods.QStar"
    for text in ("--name=qstar_pl.execution.limits", f"runs/{LIMITS}", f"{LIMITS}.yaml", f"my.{LIMITS}"):
        assert renamed.in_text(text) == text
    json = '--a.b={"class_path": "qstar_pl.execution.Limits", "init_args": {"wall_s": 2}}'
    assert renamed.in_text(json) == json.replace("execution", "sandbox")


def test_a_checkpoint_may_hold_old_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stated = {"class_path": "qstar_pl.methods.QStar", "init_args": {"reward": {"limits": {"class_path": LIMITS}}}}
    torch.save({"qstar_config": {"model": stated}, "state_dict": {}}, tmp_path / "a.ckpt")
    layer = checkpoint_layer("fit", Given(), tmp_path / "a.ckpt")
    assert layer["model"]["init_args"]["reward"]["limits"]["class_path"] == "qstar_pl.sandbox.limits.Limits"
    old, new = ([{"class_path": f"qstar_pl.data.{room}filters.DuplicatePrompts"}] for room in ("", "selection."))
    assert without_risks({"filters": old}) == ({"filters": new}, [])
    assert "is called" not in capsys.readouterr().err


def test_a_user_may_type_old_paths_and_is_told_the_new_ones(qstar, tmp_path: Path) -> None:
    (tmp_path / "filter.yaml").write_text(
        "class_path: qstar_pl.data.length_filter.LengthFilter\ninit_args: {max_prompt: 1000}\n"
    )
    (tmp_path / "all.yaml").write_text("rendering: qstar_pl.data.renderings.PlainRendering\nfilters: [filter.yaml]\n")
    same = "--filters+=qstar_pl.data.renderings.PlainRendering"
    code, out, err = qstar(
        "data", "--config=all.yaml", "--adapter=TinyWorld", "--path=tiny", "--max_rows=20", "--examples=0"
    )
    assert code == 0, err
    assert "20 rows read" in out
    assert err.splitlines().count("note: qstar_pl.data.renderings.PlainRendering is called "
                                  "qstar_pl.data.text.rendering.PlainRendering now") == 1  # fmt: skip
    assert "note: qstar_pl.data.length_filter.LengthFilter is called" in err
    code, _, err = qstar("data", same, same, "--adapter=TinyWorld", "--path=tiny")
    assert code == 2  # a rendering is no filter, wherever it is
    assert err.count("note: ") == 1


def test_the_trainers_commands_take_old_paths(qstar, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("rendering: qstar_pl.data.renderings.PlainRendering\n")
    (tmp_path / "own.yaml").write_text("data: data.yaml\n")
    words = ["--config=own.yaml", "--data.filters+=qstar_pl.data.filters.DuplicatePrompts", "--print_config"]
    code, out, err = qstar("fit", *words)
    assert code == 0, err
    assert out.count("PlainRendering") == out.count("DuplicatePrompts") == 1
    assert err.count("note: qstar_pl.data.") == 2
