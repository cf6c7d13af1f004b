"""Metrics of each part of a mixture are what they would be of that part alone."""

import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from reference.text_answers import answers

from qstar_pl.cli.shipped import FOLDER
from qstar_pl.evaluation.metrics import (
    BLEU,
    Answers,
    Comparisons,
    CompletionLength,
    CorpusDistinct,
    Demonstrations,
    Measurements,
    Metric,
    Perplexity,
    PreferenceAccuracy,
    RewardGold,
    SelfBLEU,
)
from qstar_pl.types import Example

TEXTS = {"a": ["one two", "two three four"], "b": ["five six one", "one"], "c": ["seven eight", "two seven"]}
PARTS = {"a": "left", "b": "right", "c": "left"}
REWARDS = {"a": [1.0, 2.0], "b": [torch.nan, 5.0], "c": [4.0, 0.0]}


def of(prompts: str) -> Answers:
    """Return two answers to each of some prompts, in their parts."""
    rewards = torch.tensor([reward for prompt in prompts for reward in REWARDS[prompt]])
    found = answers([(prompt, TEXTS[prompt]) for prompt in prompts], "one two three", gold=rewards)
    found.examples = [replace(one, metadata={"part": PARTS[one.turns[0].content]}) for one in found.examples]
    return found


def measured(metric: Metric, *batches: Any) -> dict[str, float]:
    measurements = Measurements([metric])
    for batch in batches:
        measurements.measure(metric, batch)
    return {key.removeprefix("val/"): float(value) for key, value in measurements.flush("val").items()}


@pytest.mark.parametrize("metric", [BLEU(), CorpusDistinct(), SelfBLEU(samples=2)])
def test_a_part_has_the_numbers_that_it_has_alone(metric: Metric) -> None:
    found = measured(metric, of("ab"), of("c"))
    for part, prompts in (("left", "ac"), ("right", "b")):
        alone = measured(metric, of(prompts))
        keys = [key for key in alone if "/" not in key]
        assert keys
        assert {key: found[f"{key}/{part}"] for key in keys} == pytest.approx({key: alone[key] for key in keys})


def test_rows_count_for_their_own_part_and_what_is_no_number_for_none() -> None:
    with pytest.warns(UserWarning, match="here 1") as warned:
        found = measured(RewardGold(), of("ab"), of("c"))
    assert found == {"reward_gold": 12 / 5, "reward_gold/left": 7 / 4, "reward_gold/right": 5.0}
    assert len(warned) == 1


def test_a_part_without_rows_that_count_is_absent() -> None:
    demonstrations = batch_of(["left", "right"])
    demonstrations.completion_mask = torch.tensor([[True, True], [False, False]])
    found = measured(Perplexity(), Demonstrations(demonstrations, torch.tensor([[-1.0, -3.0], [-9.0, -9.0]])))
    assert found == {"perplexity": pytest.approx(torch.tensor(2.0).exp()), "perplexity/left": found["perplexity"]}


def test_pairs_have_parts() -> None:
    found = measured(PreferenceAccuracy(), Comparisons(batch_of(["x", "y", "y"]), torch.tensor([1.0, -1.0, 0.0])))
    assert found == {"preference_accuracy": 0.5, "preference_accuracy/x": 1.0, "preference_accuracy/y": 0.25}


def batch_of(parts: list[str]) -> Any:
    examples = tuple(Example(0, (), metadata={"part": part}) for part in parts)
    return SimpleNamespace(prompts=SimpleNamespace(examples=examples))


def test_keys_are_known_if_the_parts_are() -> None:
    one = Measurements([RewardGold(), CompletionLength()])
    both = {"reward_gold", "completion_length"}
    assert one.keys(fitting=True) == both
    assert one.keys(fitting=True, parts=("x",)) == both | {"reward_gold/x", "completion_length/x"}
    assert one.keys(fitting=True, parts=None) is None


def test_validate_reports_tasks_that_are_never_trained_on(qstar: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = qstar(
        "validate", "--model=SFT", f"--data={FOLDER / 'data' / 'tiny_held_out.yaml'}", "--data.val_limit=5",
        "--data.eval_batch_size=4", "--model.evaluation_sampler.max_new_tokens=8",
    )  # fmt: skip
    assert code == 0, err
    found = dict(re.findall(r"(val/\S+) +(\S+)", out))
    for metric in ("reward_gold", "reward_proxy", "kl_policy_reference", "preference_accuracy", "completion_length"):
        of_parts = [float(found[f"val/{metric}/{part}"]) for part in ("dialogue", "summary", "code")]
        assert sum(of_parts) / 3 == pytest.approx(float(found[f"val/{metric}"]), rel=2e-3)
    assert "val/perplexity/code" in found
