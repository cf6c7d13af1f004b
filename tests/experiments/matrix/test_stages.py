"""Cells that start where others end: which ones, and what all stages together may spend."""

from pathlib import Path

import pytest

from qstar_pl.cli.shipped import configuration
from qstar_pl.errors import UserError
from qstar_pl.experiments.matrix import Experiment, Settings, check_cells, read_experiment, with_stages
from qstar_pl.experiments.matrix.stages import stages_before

TEXT = """\
title: A title
question: Why?
tiny:
  methods:
    sft: experiment/tiny_sft
    dpo: {config: experiment/tiny_dpo, after: sft}
    q_star: {config: experiment/tiny_q_star, after: dpo}
    alone: experiment/tiny_q_star
  seeds: 1
  budget: {samples: 96}
"""
PLACE = "mine.yaml:6: tiny.methods.dpo.after must"


def read(text: str) -> Experiment:
    Path("mine.yaml").write_text(text)
    return read_experiment(Path("mine.yaml"), "tiny", configuration)


def settings(**steps: int) -> dict[str, Settings]:
    """Steps of 32 samples."""
    same = {"trainer.logger.class_path": "CSVLogger", "data.init_args.batch_size": 32}
    policy = {"model.init_args.policy.class_path": "Pretrained"}
    return {cell: Settings({**same, **policy, "trainer.max_steps": count}) for cell, count in steps.items()}


def test_a_chain_is_compared_as_its_last_stage(isolated: Path) -> None:
    found = read(TEXT)
    assert [(cell.name, cell.after, cell.is_stage) for cell in found.cells] == [
        ("sft", None, True),
        ("dpo", "sft", True),
        ("q_star", "dpo", False),
        ("alone", None, False),
    ]
    assert [cell.name for cell in stages_before(found.cells[2], found.cells)] == ["sft", "dpo"]
    assert found.baseline == "q_star"


def test_the_stage_before_is_the_one_at_the_same_levels(isolated: Path) -> None:
    text = TEXT.replace("tiny:\n", "axes: {size: {one: {a: 1}, two: {a: 2}}, rate: {low: {b: 1}}}\ntiny:\n")
    found = read(text)
    assert [cell.after for cell in found.cells if cell.factors["method"] == "dpo"] == ["sft-one-low", "sft-two-low"]
    with pytest.raises(UserError, match="after must name a method with no other axes than dpo, got sft"):
        read(text.replace("after: sft", "after: sft, axes: [size]"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("after: sft", "after: q_star", f"{PLACE} name a method above it (sft), got q_star"),
        ("after: sft", "after: dpo", f"{PLACE} name a method above it (sft), got dpo"),
        ("samples: 96", "tokens: 96", f"{PLACE} stand with a budget of samples, which can be shared out beforehand"),
        (
            "  seeds: 1",
            "  tune: {option: a, factors: [1, 3], seeds: [9]}\n  seeds: 1",
            "mine.yaml:9: tiny.tune must stand where no method is after another",
        ),
        ("tiny:", "report: {baseline: sft}\ntiny:", "mine.yaml:3: report.baseline must name a cell (q_star, alone)"),
    ],
)
def test_mistakes(old: str, new: str, said: str, isolated: Path) -> None:
    with pytest.raises(UserError) as caught:
        read(TEXT.replace(old, new, 1))
    assert str(caught.value).startswith(said)


def test_all_stages_together_take_the_budget(isolated: Path) -> None:
    found = read(TEXT)
    check_cells(found, settings(sft=1, dpo=1, q_star=1, alone=3))
    with pytest.raises(UserError, match=r"mine.yaml:7: cell q_star: .* must take 96 samples less the 64 "):
        check_cells(found, settings(sft=1, dpo=1, q_star=2, alone=3))
    with pytest.raises(UserError, match=r"cell dpo: .* must take less than 96 samples less the 32 .* got 2 steps"):
        check_cells(found, settings(sft=1, dpo=2, q_star=1, alone=3))


def test_what_changes_in_a_stage_changes_all_that_follow(isolated: Path) -> None:
    cells = read(TEXT).cells
    before = with_stages(cells, settings(sft=1, dpo=1, q_star=1, alone=3))
    after = with_stages(cells, settings(sft=2, dpo=1, q_star=1, alone=3))
    assert [name for name in before if before[name].digest != after[name].digest] == ["sft", "dpo", "q_star"]
    headless = settings(sft=1, dpo=1, q_star=1, alone=3) | {"sft": Settings({})}
    with pytest.raises(UserError, match=r"mine.yaml:6: after must join two methods with a policy, got sft without"):
        with_stages(cells, headless)
