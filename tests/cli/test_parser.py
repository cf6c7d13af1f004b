"""What --print_config prints is what the run would use."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from qstar_pl.cli.parser import is_print_config, print_flags
from qstar_pl.errors import UserError

Call = Callable[..., tuple[int, str, str]]


def printed(qstar: Call, *words: str) -> dict:
    code, out, err = qstar(*words)
    assert code == 0, err
    return yaml.safe_load(out)


def test_every_layer_and_all_that_follows_from_them(qstar: Call) -> None:
    alpha = {"class_path": "qstar_pl.qstar.FixedAlpha", "init_args": {"value": 0.3}}
    sampler = {"class_path": "qstar_pl.samplers.GeometricSampler", "init_args": {"alpha": alpha}}
    model = {"class_path": "qstar_pl.methods.QStar", "init_args": {"sampler": sampler, "samples_per_prompt": 2}}
    stored = {"name": "mine", "model": model, "trainer": {"log_every_n_steps": 2, "precision": "bf16-mixed"}}
    torch.save({"state_dict": {}, "qstar_config": stored}, "a.ckpt")
    Path("run.yaml").write_text("trainer: {log_every_n_steps: 3}\nmodel: {init_args: {samples_per_prompt: 3}}\n")
    words = ("fit", "--print_config", "--ckpt_path=a.ckpt", "--config=run.yaml", "--model.samples_per_prompt=4")
    config = printed(qstar, *words)
    arguments = config["model"]["init_args"]
    assert arguments["samples_per_prompt"] == 4  # command line over YAML
    assert config["trainer"]["log_every_n_steps"] == 3  # YAML over checkpoint
    assert arguments["sampler"]["init_args"]["alpha"]["init_args"] == {"value": 0.3}  # checkpoint over defaults
    assert (config["name"], config["trainer"]["precision"]) == ("mine", "bf16-mixed")
    assert config["seed_everything"] == 0  # our defaults
    assert config["trainer"]["logger"]["init_args"]["name"] == "mine"
    assert config["trainer"]["max_steps"] == 200
    assert not Path("runs").exists()

    Path("printed.yaml").write_text(qstar(*words)[1])
    assert printed(qstar, "fit", "--print_config", "--config=printed.yaml") == config


def test_what_gives_way_is_not_shown(qstar: Call) -> None:
    words = ("--trainer.enable_progress_bar=false", "--trainer.callbacks+=ModelCheckpoint", "--trainer.max_epochs=2")
    config = printed(qstar, "fit", *words, "--print_config")["trainer"]
    paths = [one["class_path"].rpartition(".")[2] for one in config["callbacks"]]
    assert paths.count("ModelCheckpoint") == 1
    assert "StepProgressBar" not in paths
    assert (config["max_steps"], config["max_epochs"], config["val_check_interval"]) == (-1, 2, None)
    logger = printed(qstar, "validate", "--print_config", "--model=SFT")["trainer"]["logger"]
    assert logger["init_args"]["name"] == "sft/validate"


def test_flags(qstar: Call) -> None:
    whole = qstar("fit", "--print_config")[1]
    assert "precision: null" in whole
    assert "precision: null" not in qstar("fit", "--print_config=skip_unset")[1]
    code, _, err = qstar("fit", "--print_config=everything")
    assert code == 2
    assert err.startswith("error: --print_config must be followed by ")
    assert print_flags("--print_config=skip_default,skip_unset") == {"skip_unset": True, "skip_default": True}
    assert not is_print_config("--print")
    with pytest.raises(UserError):
        print_flags("--print_config=skip_unset,all")


def test_comments_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qstar_pl.cli.parser.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package ruamel\.yaml"):
        print_flags("--print_config=comments")
    assert print_flags("--print_config=skip_unset") == {"skip_unset": True}


def test_metrics_are_spelled_out_whatever_names_the_class(qstar: Call) -> None:
    Path("arguments.yaml").write_text("model: {init_args: {samples_per_prompt: 3}}\n")
    Path("class.yaml").write_text("model: {class_path: qstar_pl.methods.LEDPO}\n")
    Path("beta.yaml").write_text("model: {init_args: {beta_min: 0.02}}\n")

    def measured(*words: str) -> list[str]:
        listed = printed(qstar, "fit", "--print_config", *words)["model"]["init_args"]["metrics"]
        return [one["class_path"].rpartition(".")[2] for one in listed]

    assert "KLPolicyReference" in measured("--config=arguments.yaml")
    assert "Beta" in measured("--config=class.yaml", "--config=beta.yaml")
    assert measured("--config=arguments.yaml", "--model.metrics+=Perplexity")[-1] == "Perplexity"
