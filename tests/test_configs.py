"""Every shipped YAML, in the place it is made for."""

import io
import json
import random
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_run import SMALL

from qstar_pl.cli import main

Call = Callable[..., tuple[int, str, str]]
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
# Those of experiments are no values of an option: tests/experiments/matrix/test_reading.py.
FILES = sorted(file for file in CONFIGS.rglob("*.yaml") if file.parent.name != "experiments")
# Folder → (option that takes such a file, where its content then stands in the resolved configuration).
PLACES: dict[str, tuple[str, tuple[str, ...]]] = {
    "method": ("--model", ("model",)),
    "data": ("--data", ("data",)),
    "policy": ("--model.policy", ("model", "init_args", "policy")),
    "target": ("--model.target", ("model", "init_args", "target")),
    "sampler": ("--model.sampler", ("model", "init_args", "sampler")),
    "optimizer": ("--model.optimizer", ("model", "init_args", "optimizer")),
    "lr_scheduler": ("--model.lr_scheduler", ("model", "init_args", "lr_scheduler")),
    "reward": ("--model.reward", ("model", "init_args", "reward")),
    "trainer": ("--trainer", ("trainer",)),
    "logger": ("--trainer.logger", ("trainer", "logger")),
    "callbacks": ("--trainer.callbacks", ("trainer", "callbacks")),
    "experiment": ("--config", ()),
    "cluster": ("--config", ()),
    "generation": ("--config", ()),
    "debug": ("--config", ()),
    "evaluation": ("--config", ()),
}
EXPERIMENTS = sorted((CONFIGS / "experiment").glob("*.yaml"))


def name(file: Path) -> str:
    return str(file.relative_to(CONFIGS).with_suffix(""))


def resolved(file: Path) -> Any:
    folder = file.relative_to(CONFIGS).parts[0]
    option, place = PLACES[folder]
    command = "evaluate" if folder == "evaluation" else "fit"
    out = io.StringIO()
    with redirect_stdout(out):
        assert main([command, f"{option}={file}", "--print_config"]) == 0
    value = yaml.safe_load(out.getvalue())
    for key in place:
        value = value[key]
    return value


def holds(wanted: Any, got: Any, folder: Path) -> bool:
    """Whether all that `wanted` says is so in `got`; short class names and files relative to `folder` are resolved."""
    if isinstance(wanted, str) and wanted.endswith(".yaml"):
        file = (folder / wanted).resolve()
        return holds(yaml.safe_load(file.read_text()), got, file.parent)
    if isinstance(wanted, dict):
        if not isinstance(got, dict):
            return False
        if (
            "class_path" in wanted
            and got.get("class_path", "").rpartition(".")[2] != wanted["class_path"].rpartition(".")[2]
        ):
            return False
        return all(
            key in got and holds(value, got[key], folder) for key, value in wanted.items() if key != "class_path"
        )
    if isinstance(wanted, list):
        return len(wanted) == len(got) and all(
            holds(one, other, folder) for one, other in zip(wanted, got, strict=True)
        )
    if isinstance(got, dict):  # a class given by its name alone
        return got.get("class_path", "").rpartition(".")[2] == wanted
    return bool(wanted == got)


@pytest.mark.parametrize("file", FILES, ids=name)
def test_file_is_what_its_folder_says(file: Path) -> None:
    assert holds(yaml.safe_load(file.read_text()), resolved(file), file.parent)


@pytest.mark.parametrize("file", FILES, ids=name)
def test_file_says_what_it_is_for(file: Path) -> None:
    assert file.read_text().startswith("# ")


def test_no_trainer_file_drops_the_diagnostics() -> None:
    """`callbacks+` in a group file has nothing to add to, so it would replace what runs by default."""
    for file in (CONFIGS / "trainer").glob("*.yaml"):
        assert not [key for key in yaml.safe_load(file.read_text()) if key.startswith("callbacks")], file.name


def test_comparison_can_fail() -> None:
    file = CONFIGS / "sampler" / "uniform.yaml"
    wanted, got = yaml.safe_load(file.read_text()), resolved(file)
    assert not holds({**wanted, "class_path": "PolicySampler"}, got, file.parent)
    wanted["init_args"]["alpha"]["init_args"]["value"] = 0.25
    assert not holds(wanted, got, file.parent)


@pytest.fixture(scope="module")
def hh_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows in HH-RLHF's native form."""
    draw = random.Random(0)
    words = ["the", "a", "cat", "dog", "tree", "runs", "eats", "sleeps", "green", "small", "why", "how", "when"]

    def say() -> str:
        return " ".join(draw.choices(words, k=6))

    path = tmp_path_factory.mktemp("hh") / "rows.jsonl"
    with path.open("w") as file:
        for _ in range(60):
            prompt = f"\n\nHuman: {say()}\n\nAssistant: {say()}\n\nHuman: {say()}\n\nAssistant: "
            file.write(json.dumps({"chosen": prompt + say(), "rejected": prompt + say()}) + "\n")
    return path


def words_for(file: Path, rows: Path) -> list[str]:
    path = [f"--data.init_args.path={rows}"] if "hh_rlhf" in file.stem else []
    return ["fit", f"--config={file}", f"--config={CONFIGS}/debug/fast_dev_run.yaml", "--data.max_rows=64", *path]


@pytest.mark.parametrize("file", EXPERIMENTS, ids=name)
def test_experiment_runs_one_batch_of_everything(file: Path, hh_rows: Path, qstar: Call) -> None:
    code, _, err = qstar(*words_for(file, hh_rows))
    assert code == 0, err
    assert not list(Path().rglob("*.ckpt"))


def test_hh_rlhf_smoke_with_another_method(hh_rows: Path, qstar: Call) -> None:
    code, out, err = qstar(*words_for(CONFIGS / "experiment" / "hh_rlhf_smoke.yaml", hh_rows), "--model=DPO")
    assert code == 0, err
    assert "  method     DPO\n" in out


def test_hh_rlhf_smoke_on_real_rows(real_data: Path, qstar: Call) -> None:
    rows = real_data / "hh_rlhf" / "helpful-base.test.jsonl.gz"
    words = words_for(CONFIGS / "experiment" / "hh_rlhf_smoke.yaml", rows)
    code, _, err = qstar(*words, "--data.max_rows=200")
    assert code == 0, err


@pytest.mark.slow  # 15 s; the file is resolved above, and another GPT-2 is in every other run
@pytest.mark.timeout(300)
def test_gpt2_at_full_size_runs_one_batch(qstar: Call) -> None:
    code, _, err = qstar("fit", f"--config={CONFIGS}/debug/gpt2_124m.yaml")
    assert code == 0, err


@pytest.mark.parametrize(
    ("logger", "left"), [("tensorboard", "runs/tensorboard/*/*/events*"), ("wandb_offline", "runs/wandb/*/*.wandb")]
)
def test_loggers_write(logger: str, left: str, qstar: Call) -> None:
    pytest.importorskip(logger.partition("_")[0])
    words = (*SMALL, "--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--model.sampler.max_new_tokens=2")
    code, _, err = qstar("fit", *words, f"--trainer.logger={CONFIGS}/logger/{logger}.yaml")
    assert code == 0, err
    assert list(Path().glob(left))
    assert list(Path().glob("runs/q_star/version_0/metrics.csv"))
