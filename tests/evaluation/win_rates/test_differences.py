"""Models against each other, by their verdicts against one baseline."""

import numpy as np
import pytest
from scipy.stats import permutation_test, ttest_rel

from qstar_pl.evaluation.statistics import holm
from qstar_pl.evaluation.win_rates.annotations import Annotation
from qstar_pl.evaluation.win_rates.differences import model_differences


def annotated(model: str, preferences: list[float | None], baseline: str = "old") -> list[Annotation]:
    return [
        Annotation(f"{model}:{number}", f"prompt {number}", model, baseline, preference, 10, 10)
        for number, preference in enumerate(preferences)
    ]


def test_models_are_paired_by_prompt_and_corrected_together() -> None:
    generator = np.random.default_rng(0)
    values = {name: (generator.random(12) < chance).astype(float) for name, chance in (("a", 0.3), ("b", 0.9))}
    rows = [*annotated("a", values["a"].tolist()), *annotated("b", [*values["b"].tolist(), 1.0])]
    found = model_differences([*rows, *annotated("c", [0.5] * 12), *annotated("d", [1.0], "other")])
    assert [(one.model, one.than) for one in found] == [("b", "a"), ("c", "a"), ("b", "c")]
    first = found[0].paired
    assert first.difference.value == pytest.approx(values["b"].mean() - values["a"].mean())
    assert first.t_test == pytest.approx(ttest_rel(values["b"], values["a"]).pvalue)
    flips = permutation_test(
        (values["b"] - values["a"],), np.sum, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(1)
    )
    assert first.sign_flips == pytest.approx(flips.pvalue)
    corrected = holm({place: one.paired.sign_flips or 0.0 for place, one in enumerate(found)})
    assert [one.p_value for one in found] == list(corrected.values())


def test_what_has_no_verdict_or_no_common_prompt_is_not_compared() -> None:
    found = model_differences([*annotated("a", [1.0, None, 0.0]), *annotated("b", [0.0, 1.0, 0.0])])
    assert found[0].paired.difference.rows == 2
    assert model_differences([*annotated("a", [1.0, None]), *annotated("b", [None, 1.0])]) == []


def test_several_answers_to_a_prompt_are_paired_one_by_one() -> None:
    rows = [
        Annotation(model, "prompt", model, "old", preference, 10, 10, (0, number))
        for model, preferences in (("a", (1.0, 0.0, 1.0)), ("b", (0.0, 0.0, 0.0)))
        for number, preference in enumerate(preferences)
    ]
    difference = model_differences(rows)[0].paired.difference
    assert (difference.value, difference.groups) == (pytest.approx(2 / 3), 1)
