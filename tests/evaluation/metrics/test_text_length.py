"""Words and characters as a reader counts them."""

import pytest
from reference.text_answers import answers, measured

from qstar_pl.evaluation.metrics import TextLength


def test_words_and_characters() -> None:
    found = measured(TextLength(), answers([("p", [" two  words ", ""]), ("q", ["é\n日本"])]))
    assert found == pytest.approx({"length_words": 4 / 3, "length_characters": (10 + 0 + 4) / 3})
