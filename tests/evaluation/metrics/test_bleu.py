"""Against sacrebleu's corpus score, to the last digit, however the rows are divided."""

import time

import pytest
import sacrebleu
import torch
from reference.texts import answers, numbers, part, rows_of

from qstar_pl.evaluation.metrics import BLEU, Scores
from qstar_pl.evaluation.metrics.bleu import bleu_counts
from qstar_pl.evaluation.metrics.metric import numbers as of_rows


@pytest.mark.parametrize("tokenize", ["13a", "intl", "char", "none"])
@pytest.mark.parametrize("lowercase", [False, True])
def test_it_is_the_corpus_score(translations, tokenize, lowercase):
    hypotheses, references = translations
    metric = BLEU(tokenize=tokenize, lowercase=lowercase)
    whole = answers(hypotheses, [[one] for one in references])
    wanted = sacrebleu.corpus_bleu(hypotheses, [references], tokenize=tokenize, lowercase=lowercase).score
    assert 1 < wanted < 99
    assert numbers(metric, whole) == {"bleu": wanted}
    batches = [part(whole, slice(0, 3)), part(whole, slice(3, 4)), part(whole, slice(4, 20))]
    assert numbers(metric, *batches) == {"bleu": wanted}
    drawn = [3, 3, 3, 0, 19, 7]
    scores = {name: Scores(one.values[drawn], one.mask[drawn]) for name, one in metric.scores(whole).items()}
    again = sacrebleu.corpus_bleu(
        [hypotheses[row] for row in drawn],
        [[references[row] for row in drawn]],
        tokenize=tokenize,
        lowercase=lowercase,
    )
    assert of_rows(metric, scores) == {"bleu": again.score}


def test_several_references_and_none():
    hypotheses = ["the cat sat on the mat", "what is it", "x"]
    references = [["a cat sat on the mat", "the cat is on the mat"], ["what is that then"], []]
    whole = answers(hypotheses, references)
    wanted = sacrebleu.corpus_bleu(
        hypotheses[:2], [["a cat sat on the mat", "what is that then"], [references[0][1], None]]
    )
    assert numbers(BLEU(), whole) == {"bleu": wanted.score}
    assert rows_of(BLEU(), whole)["bleu"][2] is None
    assert numbers(BLEU(), part(whole, slice(2, 3))) == {}


def test_millions_of_rows_are_still_counted_one_by_one():
    counts = torch.tensor([9.0, 8, 7, 6, 5, 4, 9, 8, 7, 6], dtype=torch.float64) * (2**40 + 1)
    assert (
        BLEU().compute({"bleu": counts})["bleu"]
        == sacrebleu.BLEU()._compute_score_from_stats([int(count) for count in counts.tolist()]).score
    )


def test_what_it_is_called_in_a_paper():
    said = BLEU(lowercase=True).signatures["bleu"]
    assert said.startswith("case:lc|eff:no|tok:13a|smooth:exp|version:")


def test_a_very_long_answer():
    start = time.process_time()
    bleu_counts(" ".join(map(str, range(10_000))), [" ".join(map(str, range(5_000, 15_000)))])
    bleu_counts(".,x" * 30_000, ["the x"])
    assert time.process_time() - start < 10  # about 1 s
