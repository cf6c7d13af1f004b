"""AlpacaEval's file of gamed baselines."""

from pathlib import Path

import numpy as np
import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.win_rates.gamed import read_gamed_baseline

HEAD = "model,index,preference,std_delta_len,instruction_difficulty,not_gamed_baseline\n"


def test_columns_are_read_and_the_first_difficulty_of_a_prompt_counts(tmp_path: Path) -> None:
    path = tmp_path / "df_gamed.csv"
    path.write_text(HEAD + "verbose,2,0.75,-1.5,0.3,False\nverbose,0,0.5,-1,-0.2,False\nterse,2,0.25,2,9,False\n")
    gamed = read_gamed_baseline(path)
    assert gamed.preferences.tolist() == [0.75, 0.5, 0.25]
    assert gamed.length_differences.tolist() == [-1.5, -1, 2]
    np.testing.assert_equal(gamed.by_prompt, [-0.2, np.nan, 0.3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "gamed must have at least one row, got none in"),
        (HEAD + "verbose,0,high,1,1,False\n", "preference must be a number, got 'high'"),
        (HEAD + "verbose,0,0.5,nan,1,False\n", "std_delta_len must be a number, got"),
        (HEAD + "verbose,-1,0.5,1,1,False\n", "index must be a whole number from 0 to 999999, got -1.0"),
        (HEAD + "verbose,1e12,0.5,1,1,False\n", "index must be a whole number from 0 to 999999, got 1000000000000.0"),
        ("index,preference,std_delta_len\n0,1,1\n", "instruction_difficulty must be a number, got 'no such column'"),
    ],
    ids=["empty", "word", "nan", "below", "beyond", "column"],
)
def test_mistakes(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "df_gamed.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_gamed_baseline(path)
