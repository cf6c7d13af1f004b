"""Against a slow reading of SQuAD's rules, on every question of NQ-open, with answers that are nearly right."""

import time
from pathlib import Path

import pytest
from reference import squad
from reference.texts import answers, numbers, part, rows_of

from qstar_pl.data import Auto
from qstar_pl.evaluation.metrics import Answers, ExactMatch, TokenF1
from qstar_pl.evaluation.metrics.references import references
from qstar_pl.evaluation.metrics.short_answers import exact_match, normalized, token_f1

NEARLY = ("{0}", "The {0}.", "It was {0}!", "{0} {0}", "", "a an the", "«{0}»", "{0}\u2019s", "{1}", "\u00a0{0}\t{1}")


def test_natural_questions(real_data: Path):
    examples = Auto().read(str(real_data / "nq_open" / "NQ-open.dev.jsonl.gz")).examples
    right = [list(references(one)) for one in examples]
    assert sum(map(len, right)) == 6490
    texts = [NEARLY[row % len(NEARLY)].format(one[-1], right[row - 1][0]) for row, one in enumerate(right)]
    matches = [squad.exact(text, one) for text, one in zip(texts, right, strict=True)]
    shares = [squad.f1(text, one) for text, one in zip(texts, right, strict=True)]
    whole = Answers(None, texts, examples=examples)
    assert rows_of(ExactMatch(), whole) == {"exact_match": matches}
    assert rows_of(TokenF1(), whole) == {"token_f1": shares}
    batches = [part(whole, slice(0, 1000)), part(whole, slice(1000, 3610))]
    assert numbers(ExactMatch(), *batches) == {"exact_match": sum(matches) / 3610}
    assert numbers(TokenF1(), *batches) == {"token_f1": pytest.approx(sum(shares) / 3610, rel=1e-12)}
    assert 0.2 < sum(matches) / 3610 < sum(shares) / 3610 < 0.7


@pytest.mark.parametrize(
    ("answer", "references", "exact", "f1"),
    [
        ("The U.S.A.", ["usa"], 1, 1),
        ("U S A", ["usa"], 0, 0),
        ("14 December 1972 UTC", ["December 1972", "14 December 1972 UTC"], 1, 1),
        ("in December 1972", ["December 1972"], 0, 0.8),
        ("Ștefan cel Mare", ["ștefan cel mare"], 1, 1),
        ("", ["x"], 0, 0),
        ("the", ["A"], 1, 1),
        ("theatre", ["atre"], 0, 0),
        ("one one two", ["one"], 0, 0.5),
    ],
)
def test_what_counts_as_the_same(answer, references, exact, f1):
    assert exact_match(answer, references) == exact
    assert token_f1(answer, references) == pytest.approx(f1)


def test_rows_without_a_reference_count_nowhere():
    whole = answers(["x", "x"], [["x"], []])
    assert rows_of(ExactMatch(), whole) == {"exact_match": [1.0, None]}
    assert numbers(TokenF1(), whole) == {"token_f1": 1.0}
    assert numbers(TokenF1(), part(whole, slice(1, 2))) == {}


def test_a_very_long_answer():
    start = time.process_time()
    assert token_f1("the word " * 200_000, ["word"]) == pytest.approx(2 / 200_001)
    assert time.process_time() - start < 5
    assert normalized("\ud800 a") == "\ud800"
