"""What tests of several metrics read."""

from pathlib import Path

import pytest

from qstar_pl.data import Auto
from qstar_pl.evaluation.metrics.references import references


@pytest.fixture(scope="module")
def translations(real_data: Path) -> tuple[list[str], list[str]]:
    """Answers that are near to WMT's Romanian references (words left out, sentences of a neighbor, case), and these."""
    examples = Auto().read(str(real_data / "wmt" / "wmt_en_ro_fixture_test.jsonl")).examples
    right = [text for one in examples for text in references(one)]
    assert len(right) == len(examples) == 20
    cut = [" ".join(word for place, word in enumerate(text.split()) if place % 7) for text in right]
    return [*cut[:10], *[text.upper() for text in cut[10:15]], *cut[-4:], ""], right
