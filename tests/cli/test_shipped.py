"""Configurations of the package, by their names, on a command line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qstar_pl.cli import shipped
from qstar_pl.errors import UserError

Qstar = Callable[..., tuple[int, str, str]]
QUICKSTART = shipped.FOLDER / "experiment" / "quickstart.yaml"


def test_all_of_the_repository_are_there(repository: Path):
    here = {file.relative_to(repository / "configs") for file in (repository / "configs").rglob("*.yaml")}
    assert {Path(f"{name}.yaml") for name in shipped.names()} == here


@pytest.mark.parametrize(
    "value",
    [
        "experiment/quickstart",
        "experiment/quickstart.yaml",
        "configs/experiment/quickstart.yaml",
        "./configs/experiment/quickstart",
        str(QUICKSTART),
    ],
)
def test_names(isolated: Path, value: str):
    assert shipped.configuration(value) == QUICKSTART


def test_a_file_of_the_users_comes_first(isolated: Path):
    own = Path("configs/experiment/quickstart.yaml")
    own.parent.mkdir(parents=True)
    own.write_text("name: own\n")
    assert shipped.configuration(own) == own
    assert shipped.with_configurations(["--config", str(own)]) == ["--config", str(own)]
    assert shipped.with_configurations(["--config=experiment/quickstart"]) == [f"--config={QUICKSTART}"]


@pytest.mark.parametrize(
    ("value", "near"), [("experiment/quikstart", "experiment/quickstart"), ("tiny_dpo", "experiment/tiny_dpo")]
)
def test_what_there_is_none_of(isolated: Path, value: str, near: str):
    with pytest.raises(UserError, match=f"qstar configs.*, got {value}; did you mean {near}\\?"):
        shipped.configuration(value)


def test_words_of_a_command_line(isolated: Path):
    sft, ddp = shipped.FOLDER / "method" / "sft.yaml", shipped.FOLDER / "trainer" / "ddp.yaml"
    words = ["fit", "-c", "method/sft", "--trainer", "configs/trainer/ddp.yaml", "--trainer.max_steps=3"]
    assert shipped.with_configurations(words) == ["fit", "-c", str(sft), "--trainer", str(ddp), "--trainer.max_steps=3"]
    # A name without suffix is for --config, and for the option of its folder: elsewhere it may be something else.
    board = shipped.FOLDER / "logger" / "tensorboard.yaml"
    named = shipped.with_configurations(["--model=method/sft", "--trainer.logger", "logger/tensorboard"])
    assert named == [f"--model={sft}", "--trainer.logger", str(board)]
    other = [
        "fit",
        "--model.policy.name=policy/gpt2",
        "--name",
        "experiment/quickstart",
        "--data.path=data/tiny",
        "method/sft",
        "--model=no/such.yaml",
    ]
    assert shipped.with_configurations(other) == other


def test_a_run_by_name_in_an_empty_folder(qstar: Qstar):
    code, out, err = qstar("fit", "--config", "experiment/tiny_dpo", "--trainer=trainer/fast_dev_run.yaml")
    assert code == 0, err
    code, out, err = qstar("fit", "--config=experiment/tiny_sft", "--trainer.max_steps=1", "--print_config")
    assert code == 0, err
    assert "name: tiny_sft" in out
    code, _, err = qstar("fit", "--config", "experiment/tiny_dpx")
    assert (code, len(err.splitlines())) == (2, 1), err
    assert "got experiment/tiny_dpx; did you mean experiment/tiny_dpo?" in err


def test_the_line_that_goes_on_says_what_was_typed(qstar: Qstar):
    words = ("--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--data.batch_size=2", "--data.max_rows=64")
    code, out, err = qstar("fit", "--config", "experiment/tiny_sft", *words)
    assert code == 0, err
    assert "qstar fit --config experiment/tiny_sft " in out
