import numpy as np
import pytest
import torch

from qstar_pl.data.batches.collate import COLLATES, DemonstrationCollate, PreferenceCollate, PromptCollate, pad
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.types import DemonstrationBatch, Example, PreferenceBatch, PromptBatch, Turn


def encoded(key, prompt, chosen=None, rejected=None):
    def ids(values):
        return None if values is None else np.asarray(values, np.int32)

    text = [None if values is None else "x" for values in (chosen, rejected)]
    return Encoded(Example(key, (Turn("user", "q"),), *text), ids(prompt), ids(chosen), ids(rejected), False, 0)


ROWS = [encoded(5, [1, 2, 3], [4], [5, 6]), encoded(2**63 - 1, [7], [8, 9, 10], [0, 11]), encoded(6, [12, 13], [14])]


def test_padding_sides():
    ids, mask = pad([np.asarray([1, 2]), np.asarray([3])], 9, left=True)
    assert ids.tolist() == [[1, 2], [9, 3]]
    assert mask.tolist() == [[True, True], [False, True]]
    ids, mask = pad([np.asarray([1, 2]), np.asarray([3])], 9, left=False)
    assert ids.tolist() == [[1, 2], [3, 9]]
    assert mask.tolist() == [[True, True], [True, False]]
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool)


def test_prompts():
    batch = PromptCollate(pad_id=0)(ROWS)
    assert isinstance(batch, PromptBatch)
    assert len(batch) == 3
    assert batch.prompt_ids.tolist() == [[1, 2, 3], [0, 0, 7], [0, 12, 13]]
    assert batch.prompt_mask.sum(1).tolist() == [3, 1, 2]
    assert batch.keys.tolist() == [5, 2**63 - 1, 6]
    assert batch.examples == tuple(row.example for row in ROWS)


def test_demonstrations_and_pairs():
    demonstrations = DemonstrationCollate(pad_id=0)(ROWS)
    assert isinstance(demonstrations, DemonstrationBatch)
    assert demonstrations.completion_ids.tolist() == [[4, 0, 0], [8, 9, 10], [14, 0, 0]]
    assert demonstrations.completion_mask.sum(1).tolist() == [1, 3, 1]
    pairs = PreferenceCollate(pad_id=0)(ROWS[:2])
    assert isinstance(pairs, PreferenceBatch)
    assert pairs.chosen_ids.tolist() == [[4, 0, 0], [8, 9, 10]]
    assert pairs.rejected_ids.tolist() == [[5, 6], [0, 11]]
    # Id 0 is the pad and a real token: only the mask knows.
    assert pairs.rejected_mask.tolist() == [[True, True], [True, True]]


@pytest.mark.parametrize("pad_id", [0, 3, 99])
def test_pads_never_change_content(pad_id):
    batch = PreferenceCollate(pad_id)(ROWS[:2])
    for ids, mask, field in (
        (batch.prompts.prompt_ids, batch.prompts.prompt_mask, "prompt"),
        (batch.chosen_ids, batch.chosen_mask, "chosen"),
        (batch.rejected_ids, batch.rejected_mask, "rejected"),
    ):
        assert (ids[~mask] == pad_id).all()
        for row, kept, source in zip(ids, mask, ROWS, strict=False):
            assert row[kept].tolist() == getattr(source, field).tolist()


def test_selection():
    again = encoded(5, [1, 2, 3], [4], [7])
    rows = [*ROWS, again]
    assert PromptCollate.select(rows) == ROWS  # each prompt once
    assert DemonstrationCollate.select(rows) == rows
    assert PreferenceCollate.select(rows) == [*ROWS[:2], again]
    assert DemonstrationCollate.select([encoded(1, [1])]) == []
    assert [collate.batch_type for collate in COLLATES] == [PromptBatch, DemonstrationBatch, PreferenceBatch]
