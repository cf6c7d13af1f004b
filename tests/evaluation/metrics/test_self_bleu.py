"""Self-BLEU is sacrebleu's sentence BLEU of each answer against the others."""

import pytest
from reference.text_answers import answers, measured
from sacrebleu import sentence_bleu

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import SelfBLEU
from qstar_pl.evaluation.metrics.self_bleu import self_bleu

TEXTS = ["the box is under the old bed", "the box is on the bed", "a box, under the bed"]


def test_it_is_sacrebleu_s() -> None:
    wanted = [sentence_bleu(TEXTS[i], TEXTS[:i] + TEXTS[i + 1 :]).score for i in range(3)]
    assert self_bleu(TEXTS) == pytest.approx(sum(wanted) / 3)
    assert 0 < min(wanted) < max(wanted) < 100


def test_the_same_again_is_100_and_nothing_in_common_little() -> None:
    assert self_bleu(["a b c d e"] * 3) == pytest.approx(100)
    assert self_bleu(["a b c d e", "f g h i j"]) < 12
    assert self_bleu(["a", ""]) == 0
    assert self_bleu(["a"]) is None


def test_it_is_a_mean_over_prompts_with_several_answers() -> None:
    found = measured(SelfBLEU(), answers([("p", TEXTS), ("q", ["a b", "a b"]), ("r", ["alone"])]))
    assert found == {"self_bleu": pytest.approx((self_bleu(TEXTS) + 100) / 2)}
    assert SelfBLEU(samples=7).drawing.samples == 7
    with pytest.raises(UserError, match="samples must be at least 2, got 1"):
        SelfBLEU(samples=1)
