"""Names of runs, and nothing deleted."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from jsonargparse import Namespace

from qstar_pl.cli.layers.defaults import snake_case
from qstar_pl.cli.runs.run_folder import check_name, keep_earlier, resolve_loggers, write_predictions
from qstar_pl.errors import UserError


@pytest.mark.parametrize(
    ("name", "expected"),
    [("QStar", "q_star"), ("DPO", "dpo"), ("SFT", "sft"), ("RewardModeling", "reward_modeling"), ("LEDPO", "ledpo")],
)
def test_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_earlier_files_are_kept_in_order(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    assert keep_earlier(path) is None
    for run in range(3):
        keep_earlier(path)
        path.write_text(str(run))
    contents = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert contents == {"config.1.yaml": "0", "config.2.yaml": "1", "config.yaml": "2"}


def test_loggers_get_the_name_of_the_run_unless_they_have_one() -> None:
    default = resolve_loggers(True, "elsewhere", "dpo")
    assert (default.init_args.save_dir, default.init_args.name) == ("elsewhere", "dpo")
    names = (None, "lightning_logs", "mine")
    several = [Namespace(class_path="any.CSVLogger", init_args=Namespace(name=name)) for name in names]
    assert [logger.init_args.name for logger in resolve_loggers(several, "runs", "dpo")] == ["dpo", "dpo", "mine"]
    assert resolve_loggers(False, "runs", "dpo") is False


def test_a_logger_without_folders_of_its_own_gets_company() -> None:
    alone = Namespace(class_path="lightning.pytorch.loggers.WandbLogger", init_args=Namespace(name=None))
    files, same = resolve_loggers(alone, "runs", "dpo")
    assert files.class_path.endswith("CSVLogger")
    assert (files.init_args.save_dir, files.init_args.name, same.init_args.name) == ("runs", "dpo", "dpo")
    both = [files, alone]
    assert resolve_loggers(both, "runs", "dpo") == both


def test_predictions_are_json_lines(tmp_path: Path) -> None:
    trainer = SimpleNamespace(global_rank=1, world_size=2, log_dir=str(tmp_path))
    path = write_predictions(trainer, [[{"text": "α"}], [{"text": "b"}, {"text": "c"}]])
    assert path.name == "predictions.1.jsonl"
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == ["α", "b", "c"]


@pytest.mark.parametrize("name", ["a/../../b", "..", "../x", "/tmp/x", "~/x", ".", "a//b", "a/", "a\\..\\..\\b"])
def test_a_name_that_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(UserError, match=r"^name must name a folder inside trainer\.default_root_dir"):
        check_name(name)


@pytest.mark.parametrize("name", [None, "a", "study/a", "a..b", "...", "a b", "ä", ".hidden"])
def test_a_name_inside(name: str | None) -> None:
    check_name(name)
