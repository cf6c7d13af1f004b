"""Prompts as metrics see them: a chunk of the data at a time, one prompt perhaps twice in it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from reference.text_answers import example
from small_evaluation import Characters

from qstar_pl.data.text.keys import prompt_key
from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.evaluating.items import Item
from qstar_pl.evaluating.stages.scoring import Scoring
from qstar_pl.evaluation.judges import LengthJudge
from qstar_pl.evaluation.metrics import AnswerMetric, SelfBLEU, WinRate
from qstar_pl.evaluation.metrics.baselines import StoredAnswers


def items(*rows: tuple[str, Sequence[str]]) -> list[Item]:
    """Return prompts with answers, whose keys are those of their dialogues, as adapters make them."""
    read = [example(prompt) for prompt, _ in rows]
    keyed = [replace(one, key=prompt_key(dialogue_prompt(one.turns))) for one in read]
    return [Item(number, one, tuple(texts)) for number, (one, (_, texts)) in enumerate(zip(keyed, rows, strict=True))]


def scoring(*metrics: AnswerMetric) -> Scoring:
    return Scoring.built(metrics, {}, torch.device("cpu"), None, frozenset(), {})


def test_stored_answers_are_found_for_every_prompt_of_a_chunk(tmp_path: Path) -> None:
    stored = [("p", "long"), ("q", "a"), ("p", "longer")]
    said = [[{"role": "user", "content": p}, {"role": "assistant", "content": text}] for p, text in stored]
    file = tmp_path / "stored.jsonl"
    file.write_text("".join(json.dumps({"messages": one}) + "\n" for one in said))
    built = scoring(WinRate(LengthJudge(), StoredAnswers(str(file))))
    rows = built.records(items(("p", ["short"]), ("q", ["bb"]), ("p", ["short"])), "answers")
    # "short" beats "long", but not "longer": the prompt's second row meets the second of its stored answers.
    assert [row["WinRate"]["win_rate"]["scores"] for row in rows] == [[1.0], [1.0], [0.0]]


def test_a_prompt_that_stands_twice_side_by_side_is_two_prompts() -> None:
    rows = scoring(SelfBLEU()).records(items(("p", ["a b", "a b"]), ("p", ["c d", "e f"])), "answers")
    assert [row["SelfBLEU"]["self_bleu"]["scores"] for row in rows] == [[pytest.approx(100.0)], [0.0]]


def test_a_metric_that_is_named_twice_is_measured_once() -> None:
    rows = scoring(Characters(), Characters()).records(items(("p", ["four"])), "answers")
    assert rows == [{"Characters": {"characters": {"per": "answer", "scores": [4.0]}}}]


def test_the_data_s_own_answers_are_not_judged_against_themselves() -> None:
    item = Item(0, example("p", chosen="same"), ("other",), ("same",))
    built = Scoring.built([WinRate(LengthJudge())], {}, torch.device("cpu"), None, frozenset({"baseline"}), {})
    assert built.records([item], "baseline") == [{}]
    assert built.records([item], "answers")[0]["WinRate"]["win_rate"]["scores"] == [1.0]
