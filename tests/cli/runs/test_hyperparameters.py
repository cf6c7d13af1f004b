"""The configuration as loggers get it, in their own files."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from small_run import SMALL

from qstar_pl.cli.runs.hyperparameters import flat

Call = Callable[..., tuple[int, str, str]]
WORDS = ("fit", *SMALL, "--trainer.max_steps=1", "--trainer.callbacks=Guards", "--model.sampler.max_new_tokens=3")
CHOSEN = ("--model.sampler.alpha=KLSymmetricAlpha", "--model.sampler.alpha.tol=0.002", "--seed_everything=7")
EXPECTED = {
    "seed_everything": 7,
    "model": "QStar",
    "model.sampler": "GeometricSampler",
    "model.sampler.max_new_tokens": 3,
    "model.sampler.alpha": "KLSymmetricAlpha",
    "model.sampler.alpha.tol": 0.002,
    "model.policy.name": "tiny/policy",
    "model.optimizer.lr": 1e-4,
    "model.optimizer.betas": "[0.9, 0.999]",
    "data.batch_size": 2,
    "data.cache": True,
    "trainer.max_steps": 1,
    "trainer.callbacks.Guards.action": "warn",
}


def test_secrets_stay_here() -> None:
    judge = {"class_path": "own.Judge", "init_args": {"api_key": "abc", "token": None, "url": "https://me:word@host"}}
    assert flat({"reward": judge}) == {
        "reward": "Judge",
        "reward.api_key": "***",
        "reward.token": None,
        "reward.url": "https://***@host",
    }


def test_dots_for_nesting_and_classes_by_name() -> None:
    alpha = {"class_path": "a.FixedAlpha", "init_args": {"value": 0.3}}
    config = {
        "model": {"class_path": "b.QStar", "init_args": {"alpha": alpha, "x": None}, "dict_kwargs": {"y": 1}},
        "tags": ["a", 1],
        "empty": [],
    }
    assert flat(config) == {
        "model": "QStar",
        "model.alpha": "FixedAlpha",
        "model.alpha.value": 0.3,
        "model.x": None,
        "model.y": 1,
        "tags": "['a', 1]",
        "empty": "[]",
    }


def test_two_of_a_class_and_lists_of_mappings_are_told_apart() -> None:
    writers = [{"class_path": "a.Writer", "init_args": {"every": n}} for n in (1, 2)]
    assert flat({"callbacks": writers}) == {
        "callbacks.Writer": "Writer",
        "callbacks.Writer.every": 1,
        "callbacks.Writer.2": "Writer",
        "callbacks.Writer.every.2": 2,
    }
    assert flat({"parts": [{"path": "a"}, {"path": "b"}]}) == {"parts.0.path": "a", "parts.1.path": "b"}


def check(found: dict[str, object]) -> None:
    assert {key: found.get(key) for key in EXPECTED} == EXPECTED
    assert all(value is None or isinstance(value, (bool, int, float, str)) for value in found.values())


def test_csv_and_tensorboard(qstar: Call) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    loggers = ("--trainer.logger=CSVLogger", "--trainer.logger.save_dir=runs")
    loggers += ("--trainer.logger+=TensorBoardLogger", "--trainer.logger.save_dir=board")
    code, _, err = qstar(*WORDS, *CHOSEN, *loggers)
    assert code == 0, err
    check(yaml.safe_load(Path("runs/q_star/version_0/hparams.yaml").read_text()))
    events = EventAccumulator("board/q_star/version_0").Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    stored = HParamsPluginData.FromString(content).session_start_info.hparams
    assert stored["model.sampler.alpha.tol"].number_value == 0.002
    assert stored["model.sampler.alpha"].string_value == "KLSymmetricAlpha"
    assert stored["data.cache"].number_value == 1  # how torch's writer stores a bool


def records(content: bytes) -> Iterator[bytes]:
    """The records of a .wandb file: 7 bytes of header, then LevelDB's log format in blocks of 32 KiB."""
    position, record = 7, b""
    while position + 7 <= len(content):
        if (left := 32768 - position % 32768) < 7:
            position += left
            continue
        length, kind = int.from_bytes(content[position + 4 : position + 6], "little"), content[position + 6]
        record += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield record
            record = b""


def test_wandb_without_a_network(qstar: Call) -> None:
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    logger = ("--trainer.logger=WandbLogger", "--trainer.logger.offline=true", "--trainer.logger.save_dir=runs")
    code, _, err = qstar(*WORDS, *CHOSEN, *logger)
    assert code == 0, err
    (file,) = Path().glob("runs/wandb/offline-run-*/*.wandb")
    found = {}
    for data in records(file.read_bytes()):
        record = Record.FromString(data)
        for update in (*record.config.update, *record.run.config.update):
            found[update.key or ".".join(update.nested_key)] = json.loads(update.value_json)
    check({key: value for key, value in found.items() if key in EXPECTED})
    check(yaml.safe_load(Path("runs/q_star/version_0/hparams.yaml").read_text()))  # the companion on the disk
