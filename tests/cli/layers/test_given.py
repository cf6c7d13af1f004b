"""What is read from the words before the parser reads them."""

from pathlib import Path

import pytest

from qstar_pl.cli.layers.given import class_name, given_by
from qstar_pl.errors import UserError


def test_words_over_files_and_the_later_over_the_earlier(tmp_path: Path) -> None:
    (tmp_path / "groups").mkdir()
    (tmp_path / "groups" / "trainer.yaml").write_text("max_epochs: 3\ndefault_root_dir: a\n")
    (tmp_path / "groups" / "dpo.yaml").write_text("class_path: DPO\n")
    file = tmp_path / "run.yaml"
    file.write_text("name: one\nmodel: groups/dpo.yaml\ntrainer: groups/trainer.yaml\nckpt_path: x.ckpt\n")
    given = given_by("fit", ["fit", "--config", str(file), "--name=two", "--trainer.callbacks+=Guards"])
    assert (given.name, given.run_name, given.method, given.ckpt_path) == ("two", "two", "DPO", "x.ckpt")
    assert given.trainer == {"max_epochs": 3, "default_root_dir": "a", "callbacks": "Guards"}
    given = given_by("fit", ["fit", f"--config={file}", "--trainer.default_root_dir", "b", "--ckpt_path=null"])
    assert (given.trainer["default_root_dir"], given.ckpt_path) == ("b", None)


def test_a_file_before_the_command_speaks_of_all_commands(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text("fit: {name: one}\nvalidate: {name: two}\n")
    assert given_by("validate", ["--config", str(file), "validate"]).name == "two"
    assert given_by("test", ["--config", str(file), "test"]).run_name == "q_star"


def test_inline_settings_of_the_trainer() -> None:
    words = ["fit", "--trainer={max_steps: 3}", "--model", "{class_path: a.SFT}", "--trainer.logger.version=1"]
    assert given_by("fit", words).trainer == {"max_steps": 3, "logger": "1"}


@pytest.mark.parametrize(("text", "kind"), [("- a\n", "a list"), ("a\n", "a single value")])
@pytest.mark.parametrize("option", ["config", "model", "trainer"])
def test_yaml_that_holds_no_options_is_named(text: str, kind: str, option: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(text)
    rule = f"own.yaml must hold options and their values, name: value on each line, got {kind}"
    with pytest.raises(UserError, match=rule):
        given_by("fit", ["fit", f"--{option}={tmp_path}/own.yaml"])


def test_yaml_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: a\nmodel: [\n")
    with pytest.raises(UserError, match=r"bad.yaml:3 is not valid YAML"):
        given_by("fit", ["fit", f"--config={tmp_path}/bad.yaml"])
    assert given_by("fit", ["fit", "--config=nowhere.yaml"]).name is None  # the parser says so


def test_class_names() -> None:
    assert class_name({"class_path": "a.b.SFT"}) == class_name("SFT") == "SFT"
    assert class_name({"init_args": {}}) is None
