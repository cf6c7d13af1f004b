import json

from qstar_pl.data import GSM8K, HHRLHF


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
