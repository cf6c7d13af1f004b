import json
from collections import Counter

import pytest

from qstar_pl.data import GSM8K, HHRLHF, Adapter, PromptResponse, single_turn
from qstar_pl.data.adapters.rows import Rows
from qstar_pl.data.selection.left_out import check_share
from qstar_pl.errors import UserError


def test_native_rows_stay_with_their_examples(tmp_path):
    native = [{"question": f"q{n}", "answer": "a\n#### 1" if n != 1 else "a", "extra": [n]} for n in range(3)]
    file = tmp_path / "x.jsonl"
    file.write_text("\n".join(map(json.dumps, native)))
    rows = GSM8K().read(str(file))
    assert [example.metadata["row"] for example in rows.examples] == [native[0], native[2]]
    assert [example.metadata["source"] for example in rows.examples] == [f"{file}:1", f"{file}:3"]
    assert (rows.read, rows.rejected, rows.parts) == (3, {"there is no final answer after ####": 1}, ())
    assert GSM8K().read(str(file), None, 2).read == 2


def test_the_row_is_not_copied():
    row = {"question": "q", "answer": "#### 1"}

    class One(GSM8K):
        def rows(self, path, split):
            yield "here", row

    (example,) = One().read("x").examples
    assert example.metadata["row"] is row
    assert HHRLHF().adapter_of(example) == HHRLHF()


class Careless(Adapter):
    """A user's adapter that expects every row to be in order."""

    def example(self, row, where):
        return single_turn(row["q"][0].strip(), metadata={"source": where})


BAD = ['{"q": null}', "{}", '{"q": []}', '{"q": [3]}', "not JSON", '{"q": ["\\ud800"]}', '{"q": [" "]}']


@pytest.mark.parametrize("bad", BAD)
def test_one_bad_row_never_ends_a_run(tmp_path, bad):
    file = tmp_path / "x.jsonl"
    file.write_text(f'{{"q": ["a"]}}\n{bad}\n{{"q": ["b"]}}\n')
    rows = Careless().read(str(file))
    assert [example.turns[0].content for example in rows.examples] == ["a", "b"]
    assert (rows.read, rows.rejected.total()) == (3, 1)
    ((reason, place),) = rows.first.items()
    assert place == f"{file}:2"
    assert reason not in ("", "None")


def test_errors_about_the_row_cost_it_and_errors_about_the_options_end_the_reading(tmp_path):
    class Strict(Adapter):
        def example(self, row, where):
            if row["q"] == "row":
                raise UserError(f"{where}: q must be another word")
            raise UserError("shout must be given")

    file = tmp_path / "x.jsonl"
    file.write_text('{"q": "row"}')
    assert Strict().read(str(file)).rejected == {"q must be another word": 1}
    file.write_text('{"q": "option"}')
    with pytest.raises(UserError, match="shout must be given"):
        Strict().read(str(file))


def test_the_reason_is_shared_and_the_first_place_says_more(tmp_path):
    file = tmp_path / "x.jsonl"
    rows = [{"q": "a"}, {"b": 1}, {"c": 2}, {"q": ["x"]}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = PromptResponse("q", None).read(str(file))
    assert read.rejected == {"the column q is missing": 2, "q must be text, got list": 1}
    assert read.first["the column q is missing"] == f"{file}:2: PromptResponse needs the columns q; the row has b"


def test_a_share_above_the_limit_is_an_error_that_names_the_commonest_reason():
    first = {"the row is not JSON": "x:2"}
    counts = Rows([], 10, rejected=Counter({"a tie": 2, "the row is not JSON": 3}), first=first)
    check_share("x", counts, 0.5)
    with pytest.raises(UserError) as caught:
        check_share("x", counts, 0.49)
    assert str(caught.value) == (
        "max_left_out must be at least 0.5, the share of x that is left out, got 0.49; 5 of 10 rows "
        "(3: the row is not JSON; 2: a tie); first x:2"
    )
    all_bad = Rows([], 2, rejected=Counter({"a tie": 2}))
    with pytest.raises(UserError, match=r"path must hold a usable row, got 2 rows in x \(2: a tie\), all of them left"):
        check_share("x", all_bad, 0.9)
    check_share("x", Rows([], 0), 0.0)
