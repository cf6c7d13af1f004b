import json
from pathlib import Path

import pytest

from qstar_pl.data import LengthFilter, PromptResponse, RLHFDataModule
from qstar_pl.errors import UserError
from qstar_pl.generation import GenerationData


def test_data_as_fit_takes_them_become_prompts():
    own = GenerationData("q.jsonl")
    assert GenerationData.of(own) is own
    adapter = PromptResponse("question", answer_required=False)
    fit = RLHFDataModule("q.jsonl", adapter, batch_size=2, eval_batch_size=5, max_rows=7, system_prompt="Be brief.")
    taken = GenerationData.of(fit)
    assert (taken.path, taken.adapter, taken.batch_size, taken.end_idx) == ("q.jsonl", adapter, 5, 7)
    assert taken.settings()["system_prompt"] == "Be brief."
    assert "system_prompt" not in own.settings(), "as runs of earlier versions have stored it"


@pytest.mark.parametrize("options", [{"subset_size": 3}, {"filters": [LengthFilter(max_prompt=9)]}])
def test_rows_are_not_left_out_by_a_selection(options):
    with pytest.raises(UserError, match=f"data.{next(iter(options))} must be left out"):
        GenerationData.of(RLHFDataModule("q.jsonl", **options))


def test_one_file_describes_the_data_of_fit_and_of_generate(qstar):
    Path("q.jsonl").write_text("".join(json.dumps({"prompt": f"{n}?", "completion": "x"}) + "\n" for n in range(4)))
    Path("data.yaml").write_text(
        "class_path: RLHFDataModule\n"
        "init_args: {path: q.jsonl, adapter: PromptResponse, system_prompt: Be brief., val_fraction: 0.5}\n"
    )
    words = ("--model_theta=tiny/policy", "--max_new_tokens=2", "--device=cpu", "--quiet", "--output=out.jsonl")
    code, _, err = qstar("generate", "--data=data.yaml", "--data.batch_size=3", *words)
    assert code == 0, err
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["messages"][1]["content"] for row in rows] == ["0?", "1?", "2?", "3?"]
    assert {row["messages"][0]["content"] for row in rows} == {"Be brief."}
