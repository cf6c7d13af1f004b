"""`qstar fit|validate|test|predict` on the tiny world, in this process."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from small_run import SMALL

from qstar_pl.cli.build import build
from qstar_pl.cli.trainer import TrainerCLI
from qstar_pl.errors import UserError

Call = Callable[..., tuple[int, str, str]]
SHORT = (
    "--model.sampler.max_new_tokens=4",
    "--model.evaluation_sampler.max_new_tokens=4",
    "--model.samples_per_prompt=2",
)
ALPHA = ("--model.sampler.alpha=FixedAlpha", "--model.sampler.alpha.value=0.3")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of two steps of q* with a fixed α of 0.3, SGD and batches of 2."""
    from qstar_pl.cli import main

    folder = tmp_path_factory.mktemp("trained")
    words = (*SMALL, *SHORT, *ALPHA, "--model.optimizer=SGD", "--model.optimizer.lr=0.01", "--seed_everything=5")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PL_GLOBAL_SEED", "0")
        assert main(["fit", *words, "--trainer.max_steps=2", "--trainer.accumulate_grad_batches=2"]) == 0
    return folder / "runs" / "q_star" / "version_0"


def checkpoint(trained: Path) -> str:
    return str(trained / "checkpoints" / "last.ckpt")


def as_folder(file: str, folder: Path) -> str:
    """What a sharding strategy leaves: weights elsewhere, the rest in meta.pt."""
    contents = torch.load(file, weights_only=True)
    folder.mkdir()
    torch.save({key: value for key, value in contents.items() if key != "state_dict"}, folder / "meta.pt")
    return str(folder)


def resolve(command: str, *words: str) -> TrainerCLI:
    return TrainerCLI([command, *SMALL[:4], *words], execute=False)


def test_a_run_leaves_its_configuration_metrics_and_checkpoint(trained: Path) -> None:
    assert {file.name for file in trained.iterdir()} >= {"config.yaml", "metrics.csv", "checkpoints"}
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["model"]["init_args"]["sampler"]["init_args"]["alpha"]["init_args"] == {"value": 0.3}
    with (trained / "metrics.csv").open(newline="") as file:
        columns = set(next(csv.reader(file)))
    assert columns >= {"alpha/mean", "ess/ratio", "weights/cv", "reward/mean", "kl/policy_reference", "loss/total"}


def test_short_names_and_nested_strategies() -> None:
    sampler = build([*SMALL[:4], "--model.sampler=GeometricSampler", *ALPHA]).module.sampler
    assert type(sampler).__name__ == "GeometricSampler"
    assert sampler.alpha.value == 0.3
    assert type(build([*SMALL[:4], "--model=DPO", "--data=RLHFDataModule"]).module).__name__ == "DPO"


def test_defaults_are_q_star_on_the_tiny_world_with_every_diagnostic() -> None:
    from qstar_pl.callbacks import default_diagnostics

    run = build(["--trainer.accelerator=cpu"])
    assert type(run.module).__name__ == "QStar"
    assert run.data.path == "tiny"
    names = {type(callback).__name__ for callback in run.trainer.callbacks}
    assert names >= {type(one).__name__ for one in default_diagnostics()} | {"StepProgressBar", "ModelCheckpoint"}
    assert run.trainer.max_steps == 200
    assert type(run.trainer.logger).__name__ == "CSVLogger"


def test_default_callbacks_can_be_added_to_and_replaced() -> None:
    added = build(["--trainer.callbacks+=LearningRateMonitor"]).trainer.callbacks
    assert {"LearningRateMonitor", "StepProgressBar", "ESSDiagnostic"} <= {type(one).__name__ for one in added}
    replaced = build(["--trainer.callbacks=LearningRateMonitor"]).trainer.callbacks
    assert "ESSDiagnostic" not in {type(one).__name__ for one in replaced}


def test_the_default_method_lends_nothing_to_another_one() -> None:
    """jsonargparse keeps arguments of the same name when a class changes; class defaults must not be among them."""
    run = resolve("fit", "--model=reference.other_defaults.OtherDefaults")
    assert type(run.model).__name__ == "OtherDefaults"
    assert run.model.evaluation_sampler.max_new_tokens == 7
    assert resolve("fit").model.evaluation_sampler.max_new_tokens != 7


def test_the_length_of_a_run_has_a_default_only_if_nothing_else_says_it() -> None:
    assert build(["--trainer.max_epochs=3"]).trainer.max_steps == -1
    assert build(["--trainer.max_steps=7"]).trainer.max_steps == 7


def test_checkpoint_alone_rebuilds_method_and_data(trained: Path, tmp_path: Path) -> None:
    file = checkpoint(trained)
    for path in (file, as_folder(file, tmp_path / "sharded")):
        run = resolve("validate", "--ckpt_path", path)
        assert run.model.sampler.alpha.value == 0.3
        assert run.model.sampler.max_new_tokens == 4
        assert run.model.samples_per_prompt == 2
        assert run.datamodule.batch_size == 2
        assert run.trainer.accumulate_grad_batches == 2
        assert run.config.validate.seed_everything == 5
        assert run.config.validate.model.init_args.optimizer.class_path == "torch.optim.SGD"


def test_yaml_beats_the_checkpoint_and_the_command_line_beats_both(trained: Path, tmp_path: Path) -> None:
    file = checkpoint(trained)
    overlay = tmp_path / "overlay.yaml"
    model = {"class_path": "QStar", "init_args": {"samples_per_prompt": 3, "kl_coefficient": 0.5}}
    for path in (file, as_folder(file, tmp_path / "sharded")):
        overlay.write_text(yaml.safe_dump({"model": model, "ckpt_path": path}))
        run = resolve("fit", "--config", str(overlay), "--model.kl_coefficient=0.25", "--seed_everything=9")
        assert run.config.fit.ckpt_path == path
        assert run.model.kl_coefficient == 0.25  # command line over YAML
        assert run.model.samples_per_prompt == 3  # YAML over checkpoint
        assert run.model.sampler.alpha.value == 0.3  # checkpoint over class default
        assert run.config.fit.seed_everything == 9


def changed(file: str, to: Path, **trainer: object) -> str:
    """A checkpoint of the same run, had its trainer been another; `name` is the run's."""
    contents = torch.load(file, weights_only=True)
    contents["qstar_config"]["name"] = trainer.pop("name", None)
    contents["qstar_config"]["trainer"] |= trainer
    torch.save(contents, to)
    return str(to)


def test_name_and_trainer_come_back_below_what_is_given(trained: Path, tmp_path: Path) -> None:
    logger = {"class_path": "CSVLogger", "init_args": {"save_dir": "there", "name": "mine", "version": 3}}
    options = {"gradient_clip_val": 0.5, "default_root_dir": "there", "logger": logger}
    path = changed(checkpoint(trained), tmp_path / "a.ckpt", name="mine", **options)
    (tmp_path / "one.yaml").write_text("trainer: {log_every_n_steps: 3, gradient_clip_val: 0.25}\n")
    run = resolve("fit", "--ckpt_path", path)
    config = run.config.fit
    assert config.name == "mine"
    assert str(run.trainer.log_dir).startswith("there/mine/version_")
    assert (run.trainer.max_steps, run.trainer.log_every_n_steps, run.trainer.gradient_clip_val) == (2, 1, 0.5)
    assert config.trainer.limit_val_batches == 1
    config = resolve(
        "fit", "--ckpt_path", path, f"--config={tmp_path}/one.yaml", "--trainer.log_every_n_steps=7"
    ).config
    assert (config.fit.trainer.log_every_n_steps, config.fit.trainer.gradient_clip_val) == (7, 0.25)
    other = resolve("fit", f"--ckpt_path={path}", "--name=other", "--trainer.default_root_dir=elsewhere").trainer
    assert str(other.log_dir).startswith("elsewhere/other/version_")


def test_the_configuration_of_a_run_is_used_under_another_name(trained: Path) -> None:
    run = resolve("fit", f"--config={trained}/config.yaml", "--name=other")
    assert str(run.trainer.log_dir) == "runs/other/version_0"
    assert str(resolve("test", f"--config={trained}/config.yaml").trainer.log_dir) == "runs/q_star/test/version_0"


def test_a_length_or_cadence_that_is_given_replaces_the_stored_one_as_a_whole(trained: Path) -> None:
    trainer = resolve("fit", f"--ckpt_path={checkpoint(trained)}", "--trainer.max_epochs=3").config.fit.trainer
    assert (trainer.max_steps, trainer.max_epochs) == (-1, 3)
    words = ("--trainer={val_check_interval: 0.5}", "--trainer.accumulate_grad_batches=1")
    trainer = resolve("fit", f"--ckpt_path={checkpoint(trained)}", *words).config.fit.trainer
    assert (trainer.val_check_interval, trainer.check_val_every_n_epoch, trainer.max_steps) == (0.5, 1, 2)


def test_what_measures_does_not_take_the_limits_of_training(trained: Path) -> None:
    trainer = TrainerCLI(["validate", f"--ckpt_path={checkpoint(trained)}"], execute=False).config.validate.trainer
    assert (trainer.limit_val_batches, trainer.accumulate_grad_batches) == (None, 2)


def test_devices_that_are_not_here_do_not_come_back(trained: Path, tmp_path: Path) -> None:
    path = changed(checkpoint(trained), tmp_path / "a.ckpt", accelerator="gpu", devices=4096, strategy="ddp")
    trainer = TrainerCLI(["validate", "--ckpt_path", path], execute=False).config.validate.trainer
    assert (trainer.accelerator, trainer.devices, trainer.strategy) == ("auto", "auto", "auto")
    path = changed(checkpoint(trained), tmp_path / "b.ckpt", accelerator="cpu", devices=2, strategy="ddp")
    trainer = resolve("validate", "--ckpt_path", path, "--trainer.devices=1").config.validate.trainer
    assert (trainer.accelerator, trainer.strategy) == ("cpu", "ddp")


def test_a_stored_logger_does_not_write_into_the_folder_of_its_run(trained: Path, tmp_path: Path) -> None:
    logger = {"class_path": "CSVLogger", "init_args": {"save_dir": str(tmp_path), "name": "kept", "version": 0}}
    path = changed(checkpoint(trained), tmp_path / "a.ckpt", logger=[logger])
    (tmp_path / "kept" / "version_0").mkdir(parents=True)
    assert resolve("fit", "--ckpt_path", path).trainer.log_dir == str(tmp_path / "kept" / "version_1")
    assert resolve("test", "--ckpt_path", path).trainer.log_dir == str(tmp_path / "kept" / "test" / "version_0")


def test_options_of_a_stored_strategy_are_known(trained: Path) -> None:
    """`value` belongs to FixedAlpha, which only the checkpoint names."""
    run = resolve("validate", f"--ckpt_path={checkpoint(trained)}", "--model.sampler.alpha.value=0.9")
    assert run.model.sampler.alpha.value == 0.9


@pytest.mark.parametrize("words", [["--model=DPO"], ["--model.class_path", "qstar_pl.methods.DPO"], ["--config"]])
def test_another_method_takes_nothing_from_the_checkpoint(words: list[str], trained: Path, tmp_path: Path) -> None:
    if words == ["--config"]:
        (tmp_path / "dpo.yaml").write_text("class_path: DPO\n")
        (tmp_path / "run.yaml").write_text("model: dpo.yaml\n")
        words = ["--config", str(tmp_path / "run.yaml")]
    run = resolve("validate", "--ckpt_path", checkpoint(trained), *words)
    assert type(run.model).__name__ == "DPO"
    assert (
        run.model.evaluation_sampler.max_new_tokens
        == resolve("fit", "--model=DPO").model.evaluation_sampler.max_new_tokens
    )
    assert run.datamodule.batch_size == 2


def test_checkpoint_of_another_program_uses_what_lies_beside_it(trained: Path, tmp_path: Path) -> None:
    contents = torch.load(checkpoint(trained), weights_only=True)
    del contents["qstar_config"]
    (tmp_path / "checkpoints").mkdir()
    torch.save(contents, tmp_path / "checkpoints" / "a.ckpt")
    (tmp_path / "config.yaml").write_text((trained / "config.yaml").read_text())
    run = resolve("validate", "--ckpt_path", str(tmp_path / "checkpoints" / "a.ckpt"))
    assert run.model.sampler.alpha.value == 0.3
    contents["hyper_parameters"] = {
        "_class_path": "qstar_pl.methods.QStar",
        "samples_per_prompt": 7,
        "_instantiator": "x",
    }
    torch.save(contents, tmp_path / "b.ckpt")
    assert resolve("validate", "--ckpt_path", str(tmp_path / "b.ckpt")).model.samples_per_prompt == 7


def test_unreadable_checkpoints_are_mistakes_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    torch.save([1], tmp_path / "list.ckpt")
    torch.save({"model": torch.nn.Linear(1, 1)}, tmp_path / "code.ckpt")
    for name, reason in (
        ("text", "Lightning checkpoint"),
        ("list", "a list"),
        ("code", "without code"),
        ("no", "exists"),
    ):
        with pytest.raises(UserError, match=reason):
            resolve("validate", "--ckpt_path", str(tmp_path / f"{name}.ckpt"))


def test_validate_test_and_predict_from_the_checkpoint(trained: Path, qstar: Call) -> None:
    quiet = ("--trainer.enable_progress_bar=false", "--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1")
    code, out, _ = qstar("validate", "--ckpt_path", checkpoint(trained), *quiet)
    assert code == 0
    assert "alpha=FixedAlpha(value=0.3)" in out
    code, out, _ = qstar("test", "--ckpt_path", checkpoint(trained), *quiet)
    assert code == 0
    for key in ("reward_gold", "reward_proxy", "kl_policy_reference", "preference_accuracy", "perplexity"):
        assert f"  test/{key} " in out
    code, out, _ = qstar("predict", "--ckpt_path", checkpoint(trained), quiet[0], "--trainer.limit_predict_batches=1")
    assert code == 0
    path = Path(out.rpartition("predictions: ")[2].splitlines()[0])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 2
    assert rows[0]["messages"][-1]["role"] == "assistant"
    assert {"answer_idx", "prompt", "chosen", "reward_gold", "reward_proxy"} <= set(rows[0]), "as generate's, and more"
    beside = [json.loads(line) for line in path.with_suffix(".diagnostics.jsonl").read_text().splitlines()]
    assert len(beside) == 2
    assert all(numbers["logprob_theta_sum"] < 0 for numbers in beside)
    assert qstar("analyze", str(path))[0] == 0


def test_resumed_fit_goes_on_and_loses_nothing(trained: Path, qstar: Call) -> None:
    folder = ("--trainer.logger=CSVLogger", "--trainer.logger.save_dir=runs", "--trainer.logger.version=same")
    words = ("--ckpt_path", checkpoint(trained), *SMALL, *folder)
    assert qstar("fit", *words, "--trainer.max_steps=3")[0] == 0
    assert qstar("fit", *words, "--trainer.max_steps=4")[0] == 0
    run = Path("runs/q_star/same")
    assert {"config.yaml", "config.1.yaml", "metrics.csv", "metrics.1.csv"} <= {file.name for file in run.iterdir()}
    for file, last in (("metrics.1.csv", 3), ("metrics.csv", 4)):
        with (run / file).open(newline="") as rows:
            steps = [int(row["step"]) for row in csv.DictReader(rows)]
        assert (min(steps), max(steps)) == (3, last), file
    first = yaml.safe_load((run / "config.1.yaml").read_text())
    assert first["trainer"]["max_steps"] == 3


def test_group_files_compose_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    files = {
        "sampler/fixed.yaml": {"class_path": "GeometricSampler", "init_args": {"alpha": "../alpha/fixed.yaml"}},
        "alpha/fixed.yaml": {"class_path": "FixedAlpha", "init_args": {"value": 0.125}},
        "method/mine.yaml": {"class_path": "QStar", "init_args": {"sampler": "../sampler/fixed.yaml"}},
        "experiment/base.yaml": {"model": "../method/mine.yaml", "name": "mine"},
        "experiment/overlay.yaml": {"model": {"class_path": "QStar", "init_args": {"samples_per_prompt": 6}}},
        "callbacks/more.yaml": [{"class_path": "LearningRateMonitor"}],
    }
    for name, contents in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(yaml.safe_dump(contents))
    run = build(
        [
            f"--config={tmp_path}/experiment/base.yaml",
            f"--config={tmp_path}/experiment/overlay.yaml",
            f"--trainer.callbacks+={tmp_path}/callbacks/more.yaml",
            "--trainer.default_root_dir=elsewhere",
        ]
    )
    assert run.module.sampler.alpha.value == 0.125
    assert run.module.samples_per_prompt == 6
    assert str(run.trainer.log_dir).startswith("elsewhere/mine/")
    assert {"LearningRateMonitor", "ESSDiagnostic"} <= {type(one).__name__ for one in run.trainer.callbacks}


@pytest.mark.parametrize("command", ["fit", "test"])
def test_no_run_outside_the_folder_of_runs(command: str, qstar: Call) -> None:
    Path("run.yaml").write_text("name: a/../../b\n")
    for words in (("--name=a/../../b", "--ckpt_path=last"), ("--config=run.yaml",)):
        code, _, err = qstar(command, *words)
        assert (code, err.count("\n")) == (2, 1), err
        assert err.startswith("error: name must name a folder inside trainer.default_root_dir")


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("fit --trainer.max_step=3", "--trainer.max_step; did you mean --trainer.max_steps"),
        ("fit --nam=x", "--nam; did you mean --name"),
        ("validate --ckpt=x", "--ckpt; did you mean --ckpt_path"),
        ("predict --seed=1", "--seed; did you mean --seed_everything"),
        ("data --max_row=3", "--max_row; did you mean --max_rows"),
    ],
)
def test_options_by_their_whole_names(words: str, near: str, qstar: Call) -> None:
    code, _, err = qstar(*words.split())
    assert code == 2
    assert err.startswith(f"error: unknown option {near}")
