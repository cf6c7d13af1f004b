"""The original files of AlpacaEval and MT-bench, and mistakes in files of their form."""

import json
from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.llm.template_files import read_template
from qstar_pl.types import Example, Turn

QUESTION = Example(1, (Turn("user", "Why {output_1}?"),), chosen="Because.")
TWO = Example(2, (Turn("user", "One?"), Turn("assistant", "1."), Turn("user", "Two?")))


def test_alpaca_eval_s_own_file(real_data: Path) -> None:
    one = read_template(str(real_data / "alpaca_eval" / "judge_prompts" / "alpaca_eval_gpt4.alpaca_eval.txt"))
    system, user = one.filled(QUESTION, ["first <|im_end|>", "second"])
    assert (system["role"], user["role"]) == ("system", "user")
    assert '"instruction": """Why {output_1}?""",' in user["content"]
    assert '"model": "model_1",\n        "answer": """first <|im_end|>"""' in user["content"]
    assert "{'model': <model-name>, 'rank': <model-rank>}" in user["content"]
    assert one.form.read("[{'model': 'model_2', 'rank': 1}, {'model': 'model_1', 'rank': 2}]") == 0.0


def test_mt_bench_s_own_file(real_data: Path) -> None:
    file = real_data / "mt_bench" / "judge_prompts.jsonl"
    names = [json.loads(line)["name"] for line in file.read_text().splitlines()]
    assert len(names) == 8
    for name in names:
        if name in ("pair-math-v1-multi-turn", "single-math-v1-multi-turn"):
            with pytest.raises(UserError, match="template must show no reference to a first question"):
                read_template(f"{file}#{name}")
            continue
        one = read_template(f"{file}#{name}")
        example = TWO if "multi-turn" in name else QUESTION
        assert one.lacking(example) is None
        assert one.pairwise == name.startswith("pair")
        content = one.filled(example, ["AAA", "BBB"] if one.pairwise else ["AAA"])[-1]["content"]
        assert content.count("AAA") == 1
        assert content.count("BBB") == one.pairwise
        for text in ("1.", "Two?") if "multi-turn" in name else ("Why {output_1}?",):
            assert content.count(text) >= 1
        assert ("Because." in content) == ("math" in name)
        assert one.form.read("So [[B]]" if one.pairwise else "Rating: [[5]]") == (0.0 if one.pairwise else 5.0)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "hello {instruction}", "a.txt:1: AlpacaEval's templates must hold <|im_start|>user"),
        ("a.txt", "<|im_start|>user\n{instruction}<|im_end|>", "a.txt:1: AlpacaEval's templates must hold {output_1}"),
        (
            "a.txt",
            "<|im_start|>user\n{instruction}{output_1}{output_2}<|im_end|>",
            "a.txt:1: AlpacaEval's template must ask for ranks of model_1 and model_2, got another form",
        ),
        ("a.jsonl#x", "{}\n", "a.jsonl:1: a line must be a JSON object with name, type, system_prompt"),
        ("a.jsonl#x", "\n7\n", "a.jsonl:2: a line must be a JSON object with name, type, system_prompt"),
        (
            "a.jsonl",
            '{"name": "p", "type": "pairwise", "system_prompt": "", "prompt_template": ""}',
            "template must be a.jsonl#NAME, NAME one of p, got a.jsonl",
        ),
        (
            "a.jsonl#p",
            '{"name": "p", "type": "pairwise", "system_prompt": "", "prompt_template": "{question}"}',
            "a.jsonl:1: p must be of type single or pairwise and show the answers, got pairwise",
        ),
    ],
    ids=range(7),
)
def test_mistakes(name: str, text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name.partition("#")[0]).write_text(text)
    with pytest.raises(UserError) as error:
        read_template(name)
    assert str(error.value).startswith(said)
