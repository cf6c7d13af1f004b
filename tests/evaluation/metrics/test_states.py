"""Sums and rows over two real processes are those of one; states move with the module and are in no checkpoint."""

import json
from pathlib import Path

import pytest
import sacrebleu
import torch
from reference.ranks import finish, start
from reference.two_ranks_metrics import CHOSEN, batches, measure

from qstar_pl.evaluation.metrics import Scores
from qstar_pl.evaluation.metrics.states import States


def test_two_ranks_measure_what_one_does(tmp_path: Path) -> None:
    finish([start("two_ranks_metrics.py", str(tmp_path / "found.json"), rank=rank) for rank in range(2)], limit_s=120)
    first, second = json.loads((tmp_path / "found.json").read_text())
    wanted = measure(batches(), last=True)
    assert {"val/matched", "val/distinct_2_corpus", "val/calibration_kendall", "val/self_bleu"} <= set(wanted)
    assert {f"val/bleu{of}" for of in ("", "/0", "/1", "/last")} <= set(wanted)
    assert {"val/calibration_kendall/0", "val/distinct_2_corpus/last"} <= set(wanted)
    assert first == second
    assert first == pytest.approx(wanted, rel=1e-12)
    texts = [text for batch in batches() for text in batch.texts]
    references = [[CHOSEN] * len(texts)]
    assert first["val/bleu"] == sacrebleu.corpus_bleu(texts, references, tokenize="none").score
    assert first["val/chrf"] == sacrebleu.corpus_chrf(texts, references).score
    assert first["val/token_f1"] > 0


def test_sums_add_up_and_rows_follow_each_other() -> None:
    states = States()
    states.update(1, "sum", torch.tensor([1.0, 2.0]))
    states.update(0, "rows", torch.tensor([[1.0], [2.0]]), "prompt")
    states.update(1, "sum", torch.tensor([10.0, 20.0]))
    states.update(0, "rows", torch.tensor([[3.0, 4.0]]), "prompt")
    found = states.over_ranks()
    assert list(found) == [(0, "rows", None), (1, "sum", None)]
    assert found[1, "sum", None].tolist() == [11.0, 22.0]
    rows = found[0, "rows", None]
    assert isinstance(rows, Scores)
    assert rows.per == "prompt"
    assert torch.equal(rows.values.nan_to_num(-1), torch.tensor([[1.0, -1], [2, -1], [3, 4]]).double())
    states.reset()
    assert states.over_ranks() == {}


def test_one_number_alone_keeps_its_shape() -> None:
    states = States()
    states.update(0, "rows", torch.tensor([[5.0]]), "answer")
    (found,) = states.over_ranks().values()
    assert isinstance(found, Scores)
    assert found.values.shape == (1, 1)


def test_sums_of_changing_width_are_refused() -> None:
    states = States()
    states.update(0, "x", torch.ones(2))
    with pytest.raises(ValueError, match=r"x must have one width, got \[2\] and \[3\]"):
        states.update(0, "x", torch.ones(3))


def test_states_move_with_the_module_stay_wide_and_are_never_saved() -> None:
    states = States().half()
    states.update(0, "x", torch.tensor(2.0**25, dtype=torch.float32))
    states.update(0, "x", torch.tensor(1.0, dtype=torch.float16))
    assert states.state_dict() == {}
    assert [piece.device.type for piece in States().to("meta").pieces] == []
    assert states.over_ranks()[0, "x", None].tolist() == 2**25 + 1
