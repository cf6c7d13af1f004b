"""Reports of pairs of models from annotations of several."""

from dataclasses import replace

import numpy as np
import pytest

from qstar_pl.evaluation.win_rates.annotations import Annotation
from qstar_pl.evaluation.win_rates.difficulty import instruction_difficulties
from qstar_pl.evaluation.win_rates.length_control import length_controlled
from qstar_pl.evaluation.win_rates.report import pair_reports

GENERATOR = np.random.default_rng(0)
PROMPTS = [f"prompt {number}" for number in range(40)]
BASELINE = GENERATOR.integers(50, 300, 40)
LENGTHS = GENERATOR.integers(50, 300, (3, 40))
PREFERENCES = (GENERATOR.random((3, 40)) < [[0.3], [0.5], [0.7]]).astype(float)


def annotated(models: int) -> list[Annotation]:
    return [
        Annotation(
            f"{model}:{number}",
            prompt,
            f"model {model}",
            "old",
            float(PREFERENCES[model, number]),
            int(LENGTHS[model, number]),
            int(BASELINE[number]),
        )
        for model in range(models)
        for number, prompt in enumerate(PROMPTS)
    ]


def test_three_models_tell_how_difficult_prompts_are() -> None:
    reports = pair_reports(annotated(3))
    difficulties = instruction_difficulties(PREFERENCES, BASELINE - LENGTHS)
    for model, report in enumerate(reports):
        expected = length_controlled(
            PREFERENCES[model], LENGTHS[model], BASELINE, groups=PROMPTS, difficulties=difficulties
        )
        assert report.length_controlled == expected
        assert (report.model, report.controls) == (f"model {model}", "length, difficulty")
        assert report.rates.win_rate.value == pytest.approx(PREFERENCES[model].mean())
        assert report.length == pytest.approx(LENGTHS[model].mean())


def test_two_models_or_other_prompts_do_not() -> None:
    assert {report.controls for report in pair_reports(annotated(2))} == {"length"}
    more = Annotation("x", "another prompt", "model 2", "old", 1.0, 10, 20)
    assert [report.controls for report in pair_reports([*annotated(3), more])] == [
        "length, difficulty",
        "length, difficulty",
        "length",
    ]


def test_several_answers_to_a_prompt_are_one_prompt() -> None:
    twice = [replace(one, number=(0, number)) for one in annotated(3) for number in range(2)]
    for once, found in zip(pair_reports(annotated(3)), pair_reports(twice), strict=True):
        assert (found.rates.win_rate.rows, found.rates.win_rate.groups) == (80, 40)
        assert found.rates.win_rate.value == once.rates.win_rate.value
        assert found.length_controlled.value == pytest.approx(once.length_controlled.value, abs=1e-3)
        assert found.controls == "length, difficulty"
