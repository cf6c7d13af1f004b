from dataclasses import replace
from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.experiments.matrix import Budget, Cell, Settings, check_settings, code_version

CONFIG = {
    "name": "one",
    "date": "2026-01-01",
    "trainer": {
        "max_steps": 100,
        "devices": 1,
        "num_nodes": 1,
        "accumulate_grad_batches": 1,
        "default_root_dir": "here",
        "logger": {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "here", "name": "a"}},
    },
    "model": {"class_path": "qstar_pl.methods.PPO", "init_args": {"samples_per_prompt": 4}},
    "data": {
        "class_path": "qstar_pl.data.RLHFDataModule",
        "init_args": {"path": "tiny", "batch_size": 8, "val_limit": 4},
    },
}
CELL = Cell("one", {}, (), "mine.yaml:3")


def changed(**options: object) -> Settings:
    found = Settings.of(CONFIG)
    return replace(found, options=found.options | {key.replace("__", "."): value for key, value in options.items()})


def test_where_a_run_lies_is_no_setting_of_it() -> None:
    found = Settings.of(CONFIG)
    elsewhere = {
        **CONFIG,
        "name": "two",
        "date": "2027-01-01",
        "trainer": {**CONFIG["trainer"], "default_root_dir": "x"},
    }
    assert Settings.of(elsewhere).digest == found.digest
    assert changed(trainer__max_steps=101).digest != found.digest
    assert changed(trainer__max_steps=101).changed(found.options) == "trainer.max_steps 100 → 101"
    assert changed(data__init_args__batch_size=4).held_out == found.held_out
    assert changed(data__init_args__train_limit=4).held_out == found.held_out
    for name, value in {"val_limit": 5, "subset_size": 9, "system_prompt": "Be kind.", "max_rows": 7}.items():
        assert changed(**{f"data__init_args__{name}": value}).held_out != found.held_out, name


@pytest.mark.parametrize(
    ("options", "samples"),
    [
        ({}, 3200),
        ({"trainer__accumulate_grad_batches": 2, "trainer__devices": 8, "trainer__num_nodes": 2}, 102_400),
        ({"model__init_args__epochs": 2, "model__init_args__minibatches": 2}, 800),
        ({"model__init_args__samples_per_prompt": None}, 800),
        ({"trainer__max_steps": -1}, None),
    ],
)
def test_samples_of_all_steps(options: dict[str, object], samples: float | None) -> None:
    assert changed(**options).samples() == samples


def test_a_cell_that_cannot_end_at_its_budget_is_refused() -> None:
    check_settings(CELL, changed(), Budget("samples", 3200))
    check_settings(CELL, changed(trainer__max_steps=7), Budget("tokens", 3200))
    message = r"mine.yaml:3: cell one: trainer.max_steps must take 6,400 samples, .* got 100 steps, .* 200 steps would"
    with pytest.raises(UserError, match=message):
        check_settings(CELL, changed(), Budget("samples", 6400))
    with pytest.raises(UserError, match=r"trainer\.logger must be, or hold, a CSVLogger"):
        check_settings(CELL, Settings({"trainer.logger": False}), None)


def test_a_score_that_is_not_measured_is_refused_before_anything_runs() -> None:
    found = replace(changed(), measures=frozenset({"val/reward_gold", "val/perplexity"}))
    check_settings(CELL, found, None, "val/perplexity")
    check_settings(CELL, changed(), None, "val/reward_goold")  # what is measured is not known beforehand
    with pytest.raises(UserError, match=r"evaluation.score must be measured, got val/reward_goold \(measured: val/p"):
        check_settings(CELL, found, None, "val/reward_goold")


def test_what_named_files_hold_counts(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(isolated))
    for file, key, value in (("rows.jsonl", "path", "rows.jsonl"), ("mine_too.py", "class_path", "mine_too.Judge")):
        Path(file).write_text("1\n")
        config = {**CONFIG, "data": {"init_args": {key: value}}}
        before = Settings.of(config)
        Path(file).write_text("2 3\n")
        assert Settings.of(config).digest != before.digest
        assert f"{key} (contents)" in Settings.of(config).changed(before.options)


def test_the_version_of_the_code_names_its_source() -> None:
    version, _, digest = code_version().partition("+")
    assert version[0].isdigit()
    assert len(digest) == 8


def test_classes_are_those_of_the_parts_that_there_are() -> None:
    sampler = {
        "class_path": "qstar_pl.samplers.GeometricSampler",
        "init_args": {"alpha": {"class_path": "qstar_pl.qstar.KLSymmetricAlpha"}},
    }
    config = {"model": {"class_path": "qstar_pl.methods.QStar", "init_args": {"sampler": sampler, "target": None}}}
    assert Settings.of(config).classes == {
        "model": "QStar",
        "sampler": "GeometricSampler",
        "alpha": "KLSymmetricAlpha",
    }
