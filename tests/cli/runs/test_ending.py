"""How a run ends, through the real command: what it leaves, what it says, and that what it says works."""

import csv
import hashlib
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from small_run import SMALL

from qstar_pl.cli.build import build
from qstar_pl.cli.layers.defaults import VALIDATE_EVERY
from qstar_pl.cli.runs.onward import clock
from qstar_pl.cli.trainer import TrainerCLI

Call = Callable[..., tuple[int, str, str]]
FAST = (
    *(word for word in SMALL if "log_every_n" not in word),
    "--model.samples_per_prompt=2",
    "--model.sampler.max_new_tokens=3",
    "--model.evaluation_sampler.max_new_tokens=3",
    "--trainer.log_every_n_steps=1",
)
FIT = ("fit", *FAST)
RUN = Path("runs/q_star/version_0")
LAST = RUN / "checkpoints" / "last.ckpt"


class Own(ModelCheckpoint):
    """A user's."""


def rows(folder: Path = RUN) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        clocks = ("time/", "memory/", "tokens/per_s", "samples/per_s")
        return [{k: v for k, v in row.items() if not k.startswith(clocks)} for row in csv.DictReader(file)]


def step_of(path: Path) -> int:
    return torch.load(path, weights_only=True)["global_step"]


def said(out: str, what: str) -> list[str]:
    """The words of the command that was printed, without `qstar`."""
    (line,) = [line for line in out.splitlines() if line.startswith(f"  {what}:")]
    return shlex.split(line.partition(":")[2])[1:]


def test_a_trial_run_leaves_nothing_behind(qstar: Call) -> None:
    code, out, err = qstar(*FIT, "--trainer.fast_dev_run=true")
    assert code == 0, err
    assert "checkpoint" not in out
    assert not list(Path("runs").rglob("*.ckpt"))


def digests(folder: Path) -> dict[str, str]:
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*") if file.is_file()}


def test_a_plain_run_is_validated_saved_and_says_how_to_go_on(qstar: Call) -> None:
    code, out, err = qstar(*FIT, "--trainer.max_steps=2")
    assert code == 0, err
    assert f"checkpoint: {LAST}\n" in out
    assert step_of(LAST) == 2
    assert [row["step"] for row in rows() if row["val/reward_gold"]] == ["2"]

    before = digests(Path("runs"))
    code, measured, err = qstar(*said(out, "measure"))
    assert code == 0, err
    assert "results: runs/q_star/test/version_0/metrics.csv" in measured
    assert [row["step"] for row in rows(Path("runs/q_star/test/version_0")) if row["test/reward_gold"]] == ["2"]
    code, _, err = qstar("validate", "--ckpt_path=last", "--trainer.logger.version=version_0")
    assert code == 0, err
    assert qstar("predict", f"--ckpt_path={LAST}", "--trainer.limit_predict_batches=1")[0] == 0
    assert list(Path("runs/q_star/predict/version_0").glob("predictions.jsonl"))
    assert before.items() <= digests(Path("runs")).items(), "what measures writes nothing into the training run"
    assert {path.name for path in Path("runs/q_star").iterdir()} == {"version_0", "test", "validate", "predict"}

    code, again, err = qstar("fit", "--ckpt_path=last")
    assert code == 0, err
    assert "the run has taken all of its steps before, 2; nothing was done" in again
    assert [row["step"] for row in rows() if row["val/reward_gold"]] == ["2"], "nothing that was measured is lost"

    onward = said(out, "go on")
    assert onward[-2:] == ["--trainer.max_steps", "4"]
    assert said(again, "go on") == ["fit", "--ckpt_path", "last", "--trainer.max_steps", "4"]
    assert qstar(*onward)[0] == 0
    assert step_of(LAST) == 4
    resumed = rows()
    RUN.rename("runs/resumed")
    assert qstar(*FIT, "--trainer.max_steps=4")[0] == 0
    assert resumed == rows(), "as if it had been asked for four steps at once"
    assert [row["step"] for row in rows() if row["val/reward_gold"]] == ["4"]
    code, out, err = qstar("export", f"--ckpt_path={LAST}", f"--output={RUN}/exported")
    assert code == 0, err


def test_epochs_and_a_name_that_only_the_checkpoint_knows(qstar: Call) -> None:
    words = (*FIT, "--name=mine", "--trainer.limit_train_batches=2", "--trainer.max_epochs=1")
    code, out, err = qstar(*words)
    assert code == 0, err
    last = Path("runs/mine/version_0/checkpoints/last.ckpt")
    assert step_of(last) == 2
    assert said(out, "go on")[-2:] == ["--trainer.max_epochs", "2"]
    code, out, err = qstar("fit", f"--ckpt_path={last}", "--trainer.max_epochs=2")
    assert code == 0, err
    assert step_of(Path("runs/mine/version_1/checkpoints/last.ckpt")) == 4
    assert said(out, "go on") == ["fit", "--name", "mine", "--ckpt_path", "last", "--trainer.max_epochs", "4"]


def test_the_way_on_leads_beyond_where_the_run_stands(qstar: Call) -> None:
    none = (*FIT, "--trainer.limit_val_batches=0")
    code, out, err = qstar(*none, "--trainer.max_steps=0")
    assert code == 0, err
    assert "no step was taken: trainer.max_steps is 0" in out
    assert said(out, "go on")[-2:] == ["--trainer.max_steps", "200"]
    assert "--ckpt_path" not in said(out, "go on"), "there is no checkpoint"
    code, out, _ = qstar(*none, "--trainer.max_steps=4", "--trainer.limit_train_batches=0")
    assert code == 0
    assert "no step was taken: trainer.limit_train_batches is 0" in out
    assert "go on" not in out

    assert qstar(*none, "--trainer.max_steps=3")[0] == 0
    out = qstar(*none, "--trainer.max_steps=1", "--ckpt_path=last")[1]
    assert "the run has taken all of its steps before, 3; nothing was done" in out
    assert said(out, "go on")[-4:] == ["--ckpt_path", "last", "--trainer.max_steps", "6"]

    epochs = (*none, "--name=epochs", "--trainer.limit_train_batches=1")
    assert said(qstar(*epochs, "--trainer.max_epochs=3")[1], "go on")[-2:] == ["--trainer.max_epochs", "6"]
    code, out, err = qstar(*epochs, "--trainer.max_epochs=1", "--ckpt_path=last")
    assert (code, "nothing was done" in out) == (0, True), err
    assert said(qstar(*epochs, "--trainer.max_epochs=0")[1], "go on")[-2:] == ["--trainer.max_epochs", "1"]


def test_a_run_that_a_time_ended_goes_on_with_more_of_it(qstar: Call) -> None:
    words = (*FIT, "--trainer.limit_val_batches=0", "--trainer.max_time=00:00:00:01")
    code, out, err = qstar(*words)
    assert code == 0, err
    onward = said(out, "go on")
    assert onward[-2] == "--trainer.max_time"
    assert onward[-1] >= "00:00:00:02"
    step = step_of(LAST)
    code, _, err = qstar(*onward)
    assert code == 0, err
    assert step_of(LAST) > step


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "00:00:00:01"), (61, "00:00:01:01"), (90_061, "01:01:01:01"), (3_599.5, "00:01:00:00")]
)
def test_a_time_as_the_option_has_it(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_it_saves_while_it_runs_and_after_a_time(qstar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qstar_pl.cli.trainer.SAVE_AFTER_S", 0.0)
    saved = []
    save = torch.save

    def noting(contents: dict, path: Path) -> None:
        saved.append(contents["global_step"])
        save(contents, path)

    monkeypatch.setattr(torch, "save", noting)
    words = (*FIT, "--trainer.max_steps=2")
    assert qstar(*words)[0] == 0
    assert saved == [1, 2]
    saved.clear()
    own = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.every_n_train_steps=2")
    code, out, err = qstar(*words, *own)
    assert code == 0, err
    assert saved == [2], "the user's writer is the only one"
    assert "checkpoint: runs/q_star/version_1/checkpoints/epoch=0-step=2.ckpt" in out
    saved.clear()
    code, out, _ = qstar(*words, "--trainer.enable_checkpointing=false")
    assert (code, saved) == (0, [])
    assert "no checkpoint was saved: trainer.enable_checkpointing is false" in out


def test_a_run_that_a_callback_has_ended_goes_on_as_if_it_had_not(qstar: Call) -> None:
    words = (*FIT, "--trainer.val_check_interval=2", "--trainer.check_val_every_n_epoch=null", "--trainer.max_steps=5")
    enough = ("--trainer.callbacks+=small_run.Enough", "--trainer.callbacks.step=2")
    code, _, err = qstar(*words, *enough)
    assert code == 0, err
    assert step_of(LAST) == 2
    code, _, err = qstar(*words, "--ckpt_path=last")
    assert (code, "give --trainer.callbacks+=small_run.Enough, or something else" in err) == (2, True)
    later = ("--trainer.callbacks+=small_run.Enough", "--trainer.callbacks.step=99")
    code, _, err = qstar(*words, *later, "--ckpt_path=last")
    assert code == 0, err
    resumed, weights = rows(), torch.load(LAST, weights_only=True)["state_dict"]
    RUN.rename("runs/ended")
    assert qstar(*words)[0] == 0
    assert resumed == rows()
    whole = torch.load(LAST, weights_only=True)["state_dict"]
    assert all(torch.equal(weights[key], value) for key, value in whole.items())


def test_without_a_logger_the_path_is_said(qstar: Call) -> None:
    words = (*FIT, "--trainer.max_steps=1", "--trainer.logger=false")
    code, out, err = qstar(*words)
    assert code == 0, err
    assert said(out, "go on")[-4:] == ["--ckpt_path", "runs/checkpoints/last.ckpt", "--trainer.max_steps", "2"]
    before = digests(Path("runs"))
    code, out, err = qstar(*said(out, "measure"))
    assert code == 0, err
    assert "results:" not in out
    assert qstar("predict", "--ckpt_path=runs/checkpoints/last.ckpt", "--trainer.limit_predict_batches=1")[0] == 0
    after = digests(Path("runs"))
    assert before.items() <= after.items()
    written = {f"runs/q_star/predict/predictions{suffix}" for suffix in (".jsonl", ".diagnostics.jsonl")}
    assert set(after) - set(before) == written


def writers(*words: str) -> list[ModelCheckpoint]:
    trainer = build(["--trainer.accelerator=cpu", *words]).trainer
    return [one for one in trainer.callbacks if isinstance(one, ModelCheckpoint)]


def test_a_users_writer_replaces_the_built_in_one(repository: Path) -> None:
    (own,) = writers()
    assert own.save_last
    assert own._every_n_train_steps == 100
    for word in ("ModelCheckpoint", f"{__name__}.Own", f"{repository}/configs/callbacks/best_gold.yaml"):
        (only,) = writers(f"--trainer.callbacks+={word}")
        assert only._every_n_train_steps != 100
    two = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks+=ModelCheckpoint")
    assert len(writers(*two[:1], "--trainer.callbacks.monitor=a", *two[1:])) == 2
    (kept,) = writers("--trainer.callbacks+=LearningRateMonitor")
    assert kept._every_n_train_steps == 100


@pytest.mark.parametrize(
    ("words", "interval", "epochs", "limit"),
    [
        ((), VALIDATE_EVERY, None, 32),
        (("--trainer.max_steps=-1", "--trainer.max_epochs=-1"), None, 1, None),
        (("--trainer.max_epochs=2",), None, 1, None),
        (("--trainer.max_time=00:01:00:00",), VALIDATE_EVERY, None, 32),
        (("--trainer.val_check_interval=0.5",), 0.5, 1, None),
        (("--trainer={check_val_every_n_epoch: 2}",), None, 2, None),
        (("--trainer.limit_val_batches=3",), VALIDATE_EVERY, None, 3),
    ],
)
def test_when_it_validates(words: tuple[str, ...], interval: float, epochs: int, limit: int) -> None:
    trainer = TrainerCLI(["fit", "--trainer.accelerator=cpu", *words], execute=False).config.fit.trainer
    found = (trainer.val_check_interval, trainer.check_val_every_n_epoch, trainer.limit_val_batches)
    assert found == (interval, epochs, limit)


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_what_measures_measures_all(command: str) -> None:
    trainer = TrainerCLI([command, "--trainer.accelerator=cpu"], execute=False).config[command].trainer
    assert (trainer.limit_val_batches, trainer.limit_test_batches) == (None, None)
