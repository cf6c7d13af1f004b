import json

import pytest

from qstar_pl.data import GSM8K, Auto, Mixture, Part, PromptResponse
from qstar_pl.data.adapters.rows import PartRows
from qstar_pl.errors import UserError


@pytest.fixture
def files(tmp_path):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text("".join(json.dumps({"prompt": f"p{n}", "completion": "c" * (n != 2)}) + "\n" for n in range(5)))
    two.write_text("".join(json.dumps({"question": f"q{n}", "answer": "#### 1"}) + "\n" for n in range(3)))
    return str(one), str(two)


def test_rows_of_all_parts(files):
    one, two = files
    mixture = Mixture((Part(PromptResponse(), one, weight=3), Part(GSM8K(), two, weight=1, name="math")))
    rows = mixture.read("ignored")
    name = f"{one} (PromptResponse)"
    assert [example.turns[0].content for example in rows.examples] == ["p0", "p1", "p3", "p4", "q0", "q1", "q2"]
    assert [example.metadata["part"] for example in rows.examples] == [name] * 4 + ["math"] * 3
    assert rows.examples[0].metadata["row"] == {"prompt": "p0", "completion": "c"}
    assert (rows.read, rows.rejected) == (8, {f"{name}: an answer is empty": 1})
    assert rows.parts == (PartRows(name, 5, 3), PartRows("math", 3, 1))
    assert mixture.adapter_of(rows.examples[-1]) == GSM8K()
    assert mixture.named("x") == "mixture of 2 parts"


def test_a_part_that_is_held_out_has_no_weight(files):
    one, two = files
    mixture = Mixture((Part(PromptResponse(), one, weight=3, name="a"), Part(GSM8K(), two, held_out=True, name="b")))
    assert mixture.read("").parts == (PartRows("a", 5, 3), PartRows("b", 3, None, True))
    assert [source.held_out for source in mixture.sources("", None, None)] == [False, True]


def test_names_of_parts_are_known_unless_they_are_detected(files):
    one, _ = files
    assert Mixture((Part(Auto(), one, name="a"), Part(GSM8K(), "b"))).part_names() == ("a", "b (GSM8K)")
    assert Mixture((Part(Auto(), one), Part(GSM8K(), "b", name="b"))).part_names() is None
    assert GSM8K().part_names() == ()


@pytest.mark.parametrize("name", ["a/b", "/", " a", "a\nb", ""])
def test_a_name_that_metrics_cannot_carry_is_refused(name):
    with pytest.raises(UserError, match=r"^name must (be without /|not be empty)"):
        Part(GSM8K(), "b", name=name)


def test_limits(files):
    one, two = files
    mixture = Mixture((Part(PromptResponse(), one, max_rows=4), Part(Auto(), two)))
    assert [part.read for part in mixture.read("").parts] == [4, 3]
    assert [part.read for part in mixture.read("", None, 2).parts] == [2, 2]
    with pytest.raises(UserError, match="split must be left out with Mixture"):
        mixture.read("", "train")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixture(), "parts must name at least one dataset, got none"),
        (
            lambda: Mixture((Part(GSM8K(), "a"), Part(GSM8K(), "a"))),
            r"parts must have different names, got a \(GSM8K\)",
        ),
        (
            lambda: Mixture((Part(GSM8K(), "a", weight=1), Part(GSM8K(), "b"))),
            r"weight must be given to every part or to none, got \[1, None\]",
        ),
        (lambda: Part(GSM8K(), "a", weight=0), r"weight must be a positive number, got 0 for a \(GSM8K\)"),
        (lambda: Part(GSM8K(), "a", weight=float("inf")), "weight must be a positive number, got inf"),
        (lambda: Part(GSM8K(), "a", max_rows=0), "max_rows must be at least 1, got 0"),
        (
            lambda: Part(GSM8K(), "a", weight=2, name="math", held_out=True),
            "weight must be left out of a part that is held out, got 2 for math",
        ),
        (
            lambda: Mixture((Part(GSM8K(), "a", name="x", held_out=True), Part(GSM8K(), "b", name="y", held_out=True))),
            "parts must have one to train on, got x, y, all held out",
        ),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_parses_from_yaml(tmp_path):
    from jsonargparse import ArgumentParser

    from qstar_pl.data import RowSource

    file = tmp_path / "mixture.yaml"
    file.write_text(
        "class_path: Mixture\ninit_args:\n  parts:\n"
        "  - {adapter: GSM8K, path: a.jsonl, weight: 2}\n"
        "  - {adapter: {class_path: PromptResponse, init_args: {prompt_field: q}}, path: b.jsonl, weight: 1, name: b}\n"
    )
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--adapter", type=RowSource, sub_configs=True)
    adapter = parser.instantiate(parser.parse_args([f"--adapter={file}"])).adapter
    assert adapter == Mixture(
        (Part(GSM8K(), "a.jsonl", weight=2), Part(PromptResponse("q"), "b.jsonl", weight=1, name="b"))
    )


def test_parts_are_detected(tmp_path, capsys):
    rows = {"a": {"question": "q", "answer": "a"}, "b": {"problem": "p", "solution": "s", "id": 1}}
    for name, row in rows.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\nnonsense\n")
    mixture = Mixture(tuple(Part(Auto(), str(tmp_path / f"{name}.jsonl"), name=name) for name in rows))
    resolved = mixture.resolve("", None)
    assert [part.adapter for part in resolved.parts] == [
        PromptResponse("question", "answer"),
        PromptResponse("problem", "solution"),
    ]
    assert capsys.readouterr().out.count("read as PromptResponse") == 2
    read = resolved.read("")
    assert [resolved.adapter_of(one) for one in read.examples] == [part.adapter for part in resolved.parts]
    assert read.first["b: the row is not JSON"] == f"{tmp_path / 'b.jsonl'}:2"
