"""What tests of several metrics read."""

import json
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def translations(real_data: Path) -> tuple[list[str], list[str]]:
    """Romanian references, and answers that are near them: words left out, sentences of a neighbor, case."""
    with (real_data / "wmt" / "wmt_en_ro_fixture_test.jsonl").open() as file:
        references = [json.loads(line)["translation"]["ro"] for line in file]
    cut = [" ".join(word for place, word in enumerate(text.split()) if place % 7) for text in references]
    return [*cut[:10], *[text.upper() for text in cut[10:15]], *cut[-4:], ""], references
