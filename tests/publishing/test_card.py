from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from qstar_pl.publishing.card import compact, model_card
from qstar_pl.publishing.facts import Facts

FACTS = Facts(
    method="QStar",
    options={
        "target": {"class_path": "qstar_pl.targets.Expert", "init_args": {"model": None}},
        "sampler": {
            "class_path": "qstar_pl.samplers.GeometricSampler",
            "init_args": {"alpha": {"class_path": "qstar_pl.qstar.KLSymmetricAlpha", "init_args": {"tol": 1e-5}}},
        },
        "metrics": [],
        "kl_coefficient": 0.05,
    },
    base="some/model",
    on_hub=True,
    lineage=("SFT, runs/sft/version_0/checkpoints/last.ckpt",),
    data={"path": "rows.jsonl", "adapter": {"class_path": "qstar_pl.data.Auto"}, "batch_size": 8},
    training_rows=90,
    fingerprints={"rows.jsonl": "ab12"},
    step=200,
    seed=0,
    metrics={"val/reward_gold": 0.25},
    measured_step=200,
    commands=("qstar fit --data.path=rows.jsonl",),
)


def read(text: str, folder: Path) -> ModelCard:
    (folder / "README.md").write_text(text)
    return ModelCard.load(folder / "README.md")


def test_header_and_text(tmp_path: Path) -> None:
    card = read(model_card(FACTS, "AutoModelForCausalLM"), tmp_path)
    assert card.data.to_dict() == {
        "base_model": "some/model",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["qstar-pl", "rlhf", "qstar"],
    }
    for line in (
        "| π_t | `Expert()` |",
        "| sampler (q, α) | `GeometricSampler(alpha=KLSymmetricAlpha(tol=1e-05))` |",
        "| KL coefficient | `0.05` |",
        "| data | `rows.jsonl` |",
        "| sha256 of rows.jsonl | `ab12` |",
        "| rows trained on | `90` |",
        "| optimizer steps | `200` |",
        "## Last validation (step 200)",
        "| `val/reward_gold` | 0.25 |",
        "qstar fit --data.path=rows.jsonl",
        "Between that model and this run: `SFT, runs/sft/version_0/checkpoints/last.ckpt`.",
    ):
        assert line in card.text.splitlines(), line
    assert "starting from `some/model`, for 200 optimizer steps" in card.text


@pytest.mark.parametrize(
    ("loaded_by", "library", "task"),
    [("PeftModel", "peft", "text-generation"), ("AutoModelForSequenceClassification", "transformers", None)],
)
def test_other_kinds_of_folders(loaded_by: str, library: str, task: str | None, tmp_path: Path) -> None:
    card = read(model_card(FACTS, loaded_by), tmp_path)
    assert card.data.library_name == library
    assert card.data.pipeline_tag == (task or "text-classification")
    assert f"{loaded_by}.from_pretrained(" in card.text


def test_a_checkpoint_that_says_nothing(tmp_path: Path) -> None:
    empty = Facts("unknown", {}, None, False, (), {}, None, {}, 0, None, {}, None, ())
    card = read(model_card(empty, "AutoModelForCausalLM"), tmp_path)
    assert "base_model" not in card.data.to_dict()
    assert "starting from an unknown model" in card.text
    assert "Last validation" not in card.text
    assert "Commands" not in card.text


def test_no_home_folder_and_no_table_that_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/somebody"))
    facts = replace(FACTS, base="/home/somebody/model", on_hub=False, data={"path": "/home/somebody/a|b`c.jsonl"})
    text = model_card(facts, "AutoModelForCausalLM")
    assert "/home/somebody" not in text
    assert "| data | `~/a\\|b'c.jsonl` |" in text.splitlines()


def test_compact() -> None:
    assert compact({"class_path": "a.B", "init_args": {"x": None, "y": [1, {"z": 2}]}}) == "B(y=1, {z: 2})"
