import json
from pathlib import Path

import pytest
from small_generation import SMALL

WORDS = tuple(f"--{name}={value}" for name, value in SMALL.items())


def test_generate_then_analyze(qstar):
    code, out, err = qstar("generate", *WORDS, "--output=data/out.jsonl", "--device=cpu", "--save_diagnostics")
    assert code == 0, err
    assert "data/out.jsonl: 20 rows" in out
    assert "samples/min" in out
    code, out, err = qstar("generate", *WORDS, "--output=data/out.jsonl", "--device=cpu")
    assert code == 0, err
    assert "20 of them kept" in out
    code, out, err = qstar("analyze", "data/out.jsonl")
    assert code == 0, err
    assert "α in [0.2, 0.8]" in out
    assert Path("data/out.analysis/alpha.png").is_file()


def test_plain_policy_sampling(qstar):
    words = [word for word in WORDS if not word.startswith("--model_t=")]
    code, _, err = qstar("generate", *words, "--output=out.jsonl", "--device=cpu", "--quiet")
    assert code == 0, err
    first = json.loads(Path("out.diagnostics.jsonl").read_text().splitlines()[0])
    assert first["alpha_mean"] is None
    assert first["model_t"] is None
    code, out, err = qstar("analyze", "out.jsonl")
    assert code == 0, err
    assert "no π_t" in out


def test_the_guides_words(qstar):
    """Rows 2 to 4, in the words of the source documents; the case of `shared/cases/data_05_num_samples`."""
    Path("q.jsonl").write_text("".join(json.dumps({"question": f"{number}+1?"}) + "\n" for number in range(6)))
    models = ("--model_theta=tiny/policy", "--model_t=tiny/expert", "--backend=hf", "--alpha_method=kl_symmetry")
    data = ("--dataset=q.jsonl", "--dataset_adapter=generic", "--prompt_field=question")
    rows = ("--start_idx=2", "--num_samples=3", "--max_new_tokens=4")
    code, out, err = qstar("generate", *models, *data, *rows, "--device=cpu", "--output=o.jsonl", "--quiet")
    assert code == 0, err
    assert "o.jsonl: 3 rows" in out
    assert [json.loads(line)["sample_idx"] for line in Path("o.jsonl").read_text().splitlines()] == [2, 3, 4]


@pytest.mark.parametrize("words", [["--alpha_method=kl_symmetric"], ["--alpha_method=fixed", "--fixed_alpha=0.3"]])
def test_a_mixture_needs_a_second_model(qstar, words):
    code, _, err = qstar("generate", "--model_theta=tiny/policy", "--output=out.jsonl", "--device=cpu", *words)
    assert code == 2
    assert "error: model_t must be given where alpha_method is" in err
    assert not Path("out.jsonl.work").exists()


def test_the_share_of_rows_that_may_be_left_out_is_an_option(qstar):
    Path("q.jsonl").write_text('{"question": "a"}\n{"question": ""}\n{"question": ""}\n')
    options = ("generate", *WORDS, "--dataset=q.jsonl", "--output=out.jsonl", "--device=cpu", "--quiet")
    code, _, err = qstar(*options)
    assert code == 2
    assert "error: max_left_out must be at least 0.667, the share of q.jsonl that is left out, got 0.5" in err
    code, out, err = qstar(*options, "--max_left_out=0.7")
    assert code == 0, err
    assert "out.jsonl: 2 rows" in out


def test_a_number_of_rows_beside_another_end_is_explained(qstar):
    code, _, err = qstar("generate", *WORDS, "--num_samples=1", "--output=out.jsonl", "--device=cpu", "--quiet")
    assert code == 0, err
    assert "num_samples counts rows: rows 0 to 0 are answered, 2 times each" in err


def other_vocabulary() -> None:
    from reference.tiny_models import random_model, word_tokenizer

    random_model(vocab=11).save_pretrained("other")
    word_tokenizer(Path("other"))


def rows_without_prompt() -> None:
    Path("rows.jsonl").write_text('{"question": "a", "id": 1}\n')


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--alpha_method=best"],
            "alpha_method must be one of fixed, entropy, kl_symmetric, ess_balance, snr, got 'best'",
        ),
        (["--model_t=./other"], "model_t must share the policy's vocabulary, got 11 tokens where the policy has"),
        (["--model_theta=./nowhere"], "model_theta: name must be an existing folder, got './nowhere'"),
        (["--dataset=rows.jsonl", "--prompt_field=prompt"], "PromptResponse needs the column"),
        (["--dataset=nowhere.jsonl"], "there is no nowhere.jsonl"),
        (["--device=abacus"], "device must be auto, cpu, cuda, cuda:<number> or mps, got 'abacus'"),
        (["--top_p=2"], "top_p must lie in (0, 1], got 2.0"),
        (
            ["--output=out.parquet"],
            "output must end in .jsonl, since a JSON object per line is",
        ),
        (["--output=out.json"], "output must end in .jsonl"),
        (["--output=out"], "output must end in .jsonl"),
        (["--backend=vllm"], "backend must be one of auto, hf, transformers, torch, got 'vllm'"),
        (["--fixed_alpha=0.3"], "alpha_method must be fixed where fixed_alpha is given"),
        (["--output=."], "output must be a file, got the folder"),
        (["--output=rows.jsonl"], "did not write, got rows.jsonl"),
        (["--dataset_adapter=HHRLHX"], "HHRLHX"),
        (["--strategy=magic"], "strategy"),
        (["--max_new_tokens=100000"], "positions of model_theta together"),
    ],
)
def test_mistakes_are_one_line(qstar, words, message):
    other_vocabulary()
    rows_without_prompt()
    code, _, err = qstar("generate", *WORDS, "--output=out.jsonl", "--device=cpu", *words)
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(said) == 1
    assert message in said[0]
    assert "Traceback" not in err
    assert not Path("out.jsonl").exists()


def test_columns_are_named(qstar):
    rows_without_prompt()
    _, _, err = qstar(
        "generate", *WORDS, "--output=out.jsonl", "--device=cpu", "--dataset=rows.jsonl", "--prompt_field=p"
    )
    assert "id, question" in err


def test_predict_is_the_same_run(qstar, repository):
    code, _, err = qstar("generate", *WORDS, "--output=a.jsonl", "--device=cpu", "--quiet")
    assert code == 0, err
    code, _, err = qstar(
        "predict",
        f"--config={repository}/configs/generation/q_star.yaml",
        "--data.end_idx=10",
        "--data.batch_size=3",
        "--model.samples_per_prompt=2",
        "--model.sampler.max_new_tokens=5",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
    )
    assert code == 0, err
    assert Path("runs/generation/q_star.jsonl").read_bytes() == Path("a.jsonl").read_bytes()
    assert Path("runs/generation/q_star.diagnostics.jsonl").read_bytes() == Path("a.diagnostics.jsonl").read_bytes()
