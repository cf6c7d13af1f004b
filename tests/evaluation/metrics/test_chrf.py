"""Against sacrebleu's corpus score, to the last digit, however the rows are divided."""

import time

import pytest
import sacrebleu
from reference.texts import answers, numbers, part, rows_of

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import ChrF
from qstar_pl.evaluation.metrics.chrf import chrf_counts


@pytest.mark.parametrize(
    ("options", "key"),
    [({}, "chrf"), ({"word_order": 2, "lowercase": True}, "chrf++"), ({"char_order": 4, "beta": 1}, "chrf")],
)
def test_it_is_the_corpus_score(translations, options, key):
    hypotheses, references = translations
    whole = answers(hypotheses, [[one] for one in references])
    wanted = sacrebleu.CHRF(**options).corpus_score(hypotheses, [references]).score
    assert 1 < wanted < 99
    assert numbers(ChrF(**options), whole) == {key: wanted}
    batches = [part(whole, slice(0, 3)), part(whole, slice(3, 4)), part(whole, slice(4, 20))]
    assert numbers(ChrF(**options), *batches) == {key: wanted}


def test_several_references_and_none():
    hypotheses, references = ["the cat sat on the mat", "x"], [["a cat sat", "the cat is on the mat"], []]
    whole = answers(hypotheses, references)
    wanted = sacrebleu.corpus_chrf(hypotheses[:1], [[one] for one in references[0]])
    assert numbers(ChrF(), whole) == {"chrf": wanted.score}
    assert rows_of(ChrF(), whole)["chrf"][1] is None


def test_options():
    with pytest.raises(UserError, match="word_order must be 0, 1 or 2, got 3"):
        ChrF(word_order=3)
    with pytest.raises(UserError, match="char_order must be at least 1, got 0"):
        ChrF(char_order=0)
    assert ChrF(word_order=2).signatures["chrf++"].startswith("case:mixed|eff:yes|nc:6|nw:2|space:no|version:")


def test_a_very_long_answer():
    start = time.process_time()
    chrf_counts(" ".join(map(str, range(10_000))), [" ".join(map(str, range(5_000, 15_000)))])
    chrf_counts(".,x" * 30_000, ["the x"])
    assert time.process_time() - start < 10  # about 1 s
