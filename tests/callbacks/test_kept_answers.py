"""Answers to held-out prompts in a file, of all ranks, whatever was there before.

Those of a real run: training/test_start_validation.py.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from qstar_pl.callbacks import KeptAnswers
from qstar_pl.run_folders.kept import ANSWERS, whole_lines
from qstar_pl.types import AnsweredPrompts, Example, Turn


def trainer(folder: Path, step: int, rank: int = 0, world: int = 1, **state: Any) -> Any:
    logger = CSVLogger(folder, name="", version="")
    facts = {"state": SimpleNamespace(fn="fit"), "sanity_checking": False, "is_global_zero": rank == 0, **state}
    return SimpleNamespace(loggers=[logger], global_step=step, global_rank=rank, world_size=world, **facts)


def answered(prompts: list[int], said: str = "") -> AnsweredPrompts:
    parts = [{"part": "odd"} if number % 2 else {} for number in prompts]
    examples = [
        Example(n, (Turn("user", f"prompt {n}"),), metadata=part) for n, part in zip(prompts, parts, strict=True)
    ]
    rewards = {"gold": torch.tensor([float(number) if number else float("nan") for number in prompts])}
    texts = [f"{said}answer {number}" for number in prompts]
    return AnsweredPrompts(examples, texts, torch.tensor(prompts) + 3, rewards)


def validate(callback: KeptAnswers, where: Any, batches: list[AnsweredPrompts | None]) -> None:
    module: Any = None
    callback.on_validation_epoch_start(where, module)
    for number, batch in enumerate(batches):
        callback.on_validation_batch_end(where, module, {"answers": batch}, None, number)
    callback.on_validation_end(where, module)


def test_the_first_validation_and_the_last_are_kept(tmp_path: Path) -> None:
    callback = KeptAnswers()
    for step in (0, 20, 40):
        validate(callback, trainer(tmp_path, step), [answered([0, 1]), answered([2]), None])
    rows = whole_lines(tmp_path / ANSWERS)
    assert [(row["step"], row["prompt"]) for row in rows] == [(step, prompt) for step in (0, 40) for prompt in range(3)]
    assert rows[4] == {
        "step": 40,
        "prompt": 1,
        "key": "1",
        "part": "odd",
        "prompt_text": "prompt 1",
        "completion": "answer 1",
        "tokens": 4,
        "reward_gold": 1.0,
        "reward_proxy": None,
    }
    assert rows[0]["reward_gold"] is None  # it does not know


def test_a_run_that_goes_on_ends_with_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for folder, steps in ((tmp_path / "whole", (0, 20, 40)), (tmp_path / "killed", (0, 20, 40, 20, 40))):
        for step in steps:
            validate(KeptAnswers(), trainer(folder, step), [answered([0, 1], f"at {step}: ")])
        files.append((folder / ANSWERS).read_bytes())
    assert files[0] == files[1]


def test_answers_of_all_ranks_are_in_the_order_of_the_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    def say(found: list[Any], own: Any) -> None:
        said.append(own)
        found[:] = [[], own]

    monkeypatch.setattr(torch.distributed, "all_gather_object", say)
    validate(KeptAnswers(), trainer(tmp_path, 0, rank=1, world=2), [answered([1]), answered([3])])
    assert not (tmp_path / ANSWERS).exists()

    def gather(found: list[Any], own: Any) -> None:
        found[:] = [own, said[0]]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    validate(KeptAnswers(), trainer(tmp_path, 0, world=2), [answered([0, 2]), answered([4])])
    rows = whole_lines(tmp_path / ANSWERS)
    assert [(row["prompt"], row["completion"]) for row in rows] == [(n, f"answer {n}") for n in range(5)]


@pytest.mark.parametrize("state", [{"sanity_checking": True}, {"state": SimpleNamespace(fn="validate")}])
def test_other_validations_leave_no_file(tmp_path: Path, state: dict[str, Any]) -> None:
    validate(KeptAnswers(), trainer(tmp_path, 0, **state), [answered([0])])
    assert not (tmp_path / ANSWERS).exists()
