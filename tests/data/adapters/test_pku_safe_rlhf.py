import pytest

from qstar_pl.data import Auto, PKUSafeRLHF, RowRejected
from qstar_pl.errors import UserError

ROW = {"prompt": "Hi", "response_0": "Hello", "response_1": "Go", "better_response_id": 1, "safer_response_id": 0}
SAFE = {"is_response_0_safe": True, "is_response_1_safe": False}


def test_better_or_safer():
    better = PKUSafeRLHF().example({**ROW, **SAFE}, "f:1")
    assert (better.chosen, better.rejected) == ("Go", "Hello")
    assert (better.metadata["safe_chosen"], better.metadata["safe_rejected"]) == (False, True)
    safer = PKUSafeRLHF("safer").example({**ROW, **SAFE}, "f:1")
    assert (safer.chosen, safer.rejected, safer.metadata["safe_chosen"]) == ("Hello", "Go", True)
    assert PKUSafeRLHF().example({**ROW, "better_response_id": "0"}, "f:1").chosen == "Hello"


def test_detection_goes_by_the_verdict_that_is_there():
    assert Auto().choose(ROW, "f:1") == PKUSafeRLHF()
    assert Auto().choose({**ROW, "better_response_id": None}, "f:1") == PKUSafeRLHF("safer")


def test_rows_that_are_left_out():
    with pytest.raises(RowRejected, match="a tie"):
        PKUSafeRLHF().example({**ROW, "better_response_id": -1}, "f:1")
    with pytest.raises(UserError, match="f:1: better_response_id must be 0 or 1, got 2"):
        PKUSafeRLHF().example({**ROW, "better_response_id": 2}, "f:1")
    with pytest.raises(RowRejected, match="chosen equals rejected"):
        PKUSafeRLHF().example({**ROW, "response_0": "Go"}, "f:1")
