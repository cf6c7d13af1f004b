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
    assert out.splitlines()[-1] == "  look at it:  qstar analyze data/out.jsonl"
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
        (["--max_new_token=3"], "unknown option --max_new_token; did you mean --max_new_tokens"),
        (["--sampler=CandidateSetSamplr"], "unknown class CandidateSetSamplr; did you mean CandidateSetSampler"),
        (["--sampler=TargetSampler", "--alpha_method=snr"], "alpha_method must be left out where sampler is given"),
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


OWN_SAMPLER = """
from dataclasses import dataclass

from qstar_pl.samplers import PolicySampler, Sampler


@dataclass(frozen=True, kw_only=True)
class Cooled(Sampler):
    factor: float = 2.0

    @property
    def exact(self):
        return True

    @property
    def needs_target(self):
        return False

    def draw(self, prompts, policy, target, *, samples, seed, pace):
        inner = PolicySampler(max_new_tokens=self.max_new_tokens, temperature=self.temperature / self.factor)
        return inner.draw(prompts, policy, target, samples=samples, seed=seed, pace=pace)
"""


def test_a_sampler_of_the_users_own_enters_by_its_class_path(qstar):
    """From outside the package, with an option of its own beside the guide's words; nothing here knows of it."""
    Path("own_sampler.py").write_text(OWN_SAMPLER)
    words = [word for word in WORDS if not word.startswith("--model_t=")]
    own = ("--sampler=own_sampler.Cooled", "--sampler.factor=4", "--temperature=2", "--output=own.jsonl")
    code, _, err = qstar("generate", *words, "--device=cpu", "--quiet", *own)
    assert code == 0, err
    code, _, err = qstar("generate", *words, "--device=cpu", "--quiet", "--temperature=0.5", "--output=cold.jsonl")
    assert code == 0, err
    assert Path("own.jsonl").read_bytes() == Path("cold.jsonl").read_bytes()
    stored = json.loads(Path("own.run.json").read_text())["settings"]
    assert stored["sampler"].startswith("Cooled(max_new_tokens=5, temperature=2.0")
    code, _, err = qstar("generate", *words, "--device=cpu", *own, "--sampler.factor=3")
    assert code == 2
    assert "holds another run: sampler.factor 4.0 before, 3.0 now" in err


def test_strategies_say_what_the_words_say(qstar):
    code, _, err = qstar("generate", *WORDS, "--output=words.jsonl", "--device=cpu", "--quiet")
    assert code == 0, err
    Path("run.yaml").write_text(
        "policy: {class_path: Pretrained, init_args: {name: tiny/policy}}\n"
        "target: {class_path: Expert}\n"
        "samples_per_prompt: 2\n"
    )
    strategies = ("--sampler=GeometricSampler", "--sampler.max_new_tokens=5", "--data.path=tiny", "--data.end_idx=10")
    code, _, err = qstar(
        "generate",
        "--config=run.yaml",
        *strategies,
        "--data.batch_size=3",
        "--output=strategies.jsonl",
        "--device=cpu",
        "--quiet",
    )
    assert code == 0, err
    for suffix in (".jsonl", ".diagnostics.jsonl"):
        assert Path(f"strategies{suffix}").read_bytes() == Path(f"words{suffix}").read_bytes()


def test_candidates_are_drawn_and_go_on(qstar):
    words = ("--sampler=CandidateSetSampler", "--sampler.candidates=4", "--output=out.jsonl", "--device=cpu", "--quiet")
    code, out, err = qstar("generate", *WORDS, *words)
    assert code == 0, err
    code, out, err = qstar("generate", *WORDS, *words)
    assert code == 0, err
    assert "20 of them kept" in out


def test_help_lists_words_and_strategies(qstar):
    code, out, _ = qstar("generate", "--help")
    assert code == 0
    for option in ("--model_theta", "--max_new_tokens", "--policy", "--sampler", "--data", "--output", "--strategy"):
        assert f"  {option} " in out
    assert "Longest answer in tokens" in out


def test_without_words_it_says_what_must_be_given(qstar):
    code, _, err = qstar("generate")
    assert code == 2
    assert err.splitlines()[-1].startswith("error: --output must be given")


def test_no_place_is_not_the_working_folder(qstar):
    code, _, err = qstar("generate", "--model_theta=tiny/policy", "--output", "")
    assert (code, err) == (2, "error: output must name a file or a folder, got nothing\n")
