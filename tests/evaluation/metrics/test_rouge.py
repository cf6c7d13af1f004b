"""Against rouge-score, on real summaries and on random lines."""

import gzip
import json
import random
import time
from pathlib import Path

import pytest
from reference.texts import answers, numbers, part, rows_of
from rouge_score.rouge_scorer import RougeScorer

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import Rouge
from qstar_pl.evaluation.metrics.rouge import KINDS, MAX_LINES, rouge


def best(scorer: RougeScorer, references: list[str], answer: str) -> list[float]:
    scores = scorer.score_multi(references, answer)
    return [scores[kind].fmeasure for kind in KINDS]


@pytest.mark.parametrize("stemmer", [True, False])
def test_random_lines(stemmer):
    draw, scorer = random.Random(0), RougeScorer(list(KINDS), use_stemmer=stemmer)
    words = ["run", "running", "runs", "a", "the", "Über", "x1", "", "-", "ponies"]

    def text() -> str:
        return "\n".join(" ".join(draw.choices(words, k=draw.randint(0, 8))) for _ in range(draw.randint(1, 5)))

    for _ in range(300):
        answer, references = text(), [text() for _ in range(draw.randint(1, 3))]
        assert rouge(answer, references, stemmer=stemmer) == best(scorer, references, answer)


def test_tldr(real_data: Path):
    with gzip.open(real_data / "tldr" / "tldr_filtered_500.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file][:60]
    scorer = RougeScorer(list(KINDS), use_stemmer=True)
    titles = [f"{row['title']}\n{row['post'][:300]}" for row in rows]
    whole = answers(titles, [[row["summary"]] for row in rows])
    wanted = [best(scorer, [row["summary"]], title) for row, title in zip(rows, titles, strict=True)]
    found = rows_of(Rouge(), whole)
    assert [list(one) for one in zip(*(found[kind] for kind in KINDS), strict=True)] == wanted
    means = {kind: sum(column) / len(rows) for kind, column in zip(KINDS, zip(*wanted, strict=True), strict=True)}
    assert numbers(Rouge(), part(whole, slice(0, 7)), part(whole, slice(7, 60))) == pytest.approx(means, rel=1e-12)


def test_rows_without_a_reference_count_nowhere():
    metric = Rouge(kinds=("rougeL", "rouge1"))
    whole = answers(["the cat", "the cat", "", "кот"], [["the cat", "a dog"], [], ["the cat"], ["кот"]])
    # Letters beyond a-z are no tokens of ROUGE's.
    assert rows_of(metric, whole) == {"rougeL": [1.0, None, 0.0, 0.0], "rouge1": [1.0, None, 0.0, 0.0]}
    assert numbers(metric, whole)["rougeL"] == pytest.approx(1 / 3)
    assert numbers(metric, answers(["x"], [[]])) == {}


def test_a_hostile_row_costs_little():
    start = time.process_time()
    rouge("\n".join(f"b a x{i}" for i in range(30_000)), ["\n".join(f"a b y{i}" for i in range(30_000))])
    rouge(" ".join(map(str, range(10_000))), [" ".join(map(str, range(5_000, 15_000)))])
    rouge("y" * 200_000, ["the x"])
    assert time.process_time() - start < 20  # 4 s
    lines = "\n".join(["same"] * MAX_LINES)
    assert rouge(lines + "\nmore" * 5, [lines]) == pytest.approx([2 / (2 + 5 / MAX_LINES)] * 3 + [1.0], rel=1e-3)


def test_kinds_must_be_there():
    with pytest.raises(UserError, match="kinds must name at least one of rouge1, rouge2, rougeL, rougeLsum, got none"):
        Rouge(kinds=())
