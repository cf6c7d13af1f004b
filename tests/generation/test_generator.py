import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_generation import run_small

from qstar_pl import QStarGenerator
from qstar_pl.errors import UserError
from qstar_pl.models import Pretrained
from qstar_pl.qstar import FixedAlpha
from qstar_pl.samplers import GeometricSampler

PROMPTS = ["How do I bake bread?", "Why is the sky blue on a clear day?", "Hi"]


@pytest.fixture(scope="module")
def generator() -> QStarGenerator:
    return QStarGenerator("tiny/policy", "tiny/expert", alpha=0.3, device="cpu")


def test_import_is_light():
    code = "import sys, qstar_pl; print({'torch', 'lightning', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.strip() == "set()"


def test_answers_come_in_the_order_of_the_prompts(generator):
    found = generator.generate(PROMPTS, samples_per_prompt=2, max_new_tokens=6, batch_size=1, seed=3)
    shape = found.completion_ids.shape
    assert shape[0] == len(found.texts) == len(found.diagnostics) == 6
    for tensor in (found.completion_mask, found.alpha, found.ess_ratio, *found.tokens.values()):
        assert tensor.shape == shape
    assert bool((found.alpha[found.completion_mask] - 0.3).abs().max() < 1e-6)
    assert bool((found.alpha[~found.completion_mask] == 0).all())
    for number, prompt in enumerate(PROMPTS):
        alone = generator.generate([prompt], samples_per_prompt=2, max_new_tokens=6, seed=3)
        assert alone.texts == found.texts[2 * number : 2 * number + 2]
    assert [row["sample_idx"] for row in found.diagnostics] == [0, 0, 1, 1, 2, 2]
    assert [row["answer_idx"] for row in found.diagnostics] == [0, 1] * 3
    ratio = torch.where(found.completion_mask, found.ess_ratio, 0.0).sum(-1) / found.completion_mask.sum(-1)
    assert ratio.tolist() == pytest.approx([row["ess_ratio_mean"] for row in found.diagnostics], rel=1e-4)


def test_num_samples_keeps_its_meaning_with_a_notice(generator):
    with pytest.warns(UserWarning, match="num_samples is taken for samples_per_prompt here"):
        found = generator.generate(["Hi"], num_samples=3, max_new_tokens=4)
    assert found.texts == generator.generate(["Hi"], samples_per_prompt=3, max_new_tokens=4).texts


def test_prompts_that_were_cut_say_so():
    short = QStarGenerator("tiny/policy", max_prompt_tokens=12, device="cpu")
    found = short.generate(["Hi", "word " * 40], max_new_tokens=2)
    assert [row["prompt_cut"] for row in found.diagnostics] == [False, True]


def test_messages_and_repeats(generator):
    dialogue = [{"role": "user", "content": "Hi"}]
    found = generator.generate(["Hi", dialogue, "Hi"], max_new_tokens=12, seed=1)
    assert len({row["key"] for row in found.diagnostics}) == 3
    assert len(set(found.texts)) > 1
    assert found.texts[0] == generator.generate([dialogue], max_new_tokens=12, seed=1).texts[0]


def test_answers_are_those_of_the_command(isolated):
    Path("rows.jsonl").write_text("".join(json.dumps({"q": prompt}) + "\n" for prompt in PROMPTS))
    run_small(dataset="rows.jsonl", prompt_field="q", end_idx=None, seed=9)
    generator = QStarGenerator("tiny/policy", "tiny/expert", device="cpu")
    found = generator.generate(PROMPTS, samples_per_prompt=2, max_new_tokens=5, batch_size=3, seed=9)
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["messages"][-1]["content"] for row in rows] == found.texts
    numbers = [json.loads(line) for line in Path("out.diagnostics.jsonl").read_text().splitlines()]
    assert numbers == found.diagnostics


def test_loaded_models_and_strategies():
    source = Pretrained("tiny/policy")
    model = source.load()
    mine = QStarGenerator(model, source, alpha=FixedAlpha(0.5), tokenizer=source.tokenizer(), device="cpu")
    found = mine.generate(["Hi"], max_new_tokens=4)
    # π_t is π_θ: the mixture is both, whatever α.
    assert found.tokens["log_z"].abs().max() < 1e-5
    assert bool((found.ess_ratio[found.completion_mask] - 1).abs().max() < 1e-4)
    alone = QStarGenerator(model, tokenizer=source.tokenizer(), device="cpu").generate(["Hi"], max_new_tokens=4)
    assert alone.texts == found.texts
    assert bool((alone.alpha[alone.completion_mask] == 1).all())


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([], {}, "prompts must be a list of at least one prompt"),
        ("Hi", {}, "prompts must be a list"),
        ([" "], {}, "prompts must not be empty"),
        ([[{"role": "assistant", "content": "x"}]], {}, "prompts must end with the user's turn"),
        (["Hi"], {"samples_per_prompt": 0}, "samples_per_prompt must be at least 1"),
        (["Hi"], {"max_new_tokens": 10**6}, "must fit into the 256 positions of model_theta"),
    ],
)
def test_mistakes(generator, prompts, options, message):
    with pytest.raises(UserError, match=message):
        generator.generate(prompts, **options)


def test_mistakes_in_the_models():
    with pytest.raises(UserError, match="tokenizer must be given where model_theta is a loaded model"):
        QStarGenerator(Pretrained("tiny/policy").load())
    with pytest.raises(UserError, match="alpha_method must be one of"):
        QStarGenerator("tiny/policy", "tiny/expert", alpha="x", device="cpu")
    with pytest.raises(UserError, match="model_t: name must be an existing folder"):
        QStarGenerator("tiny/policy", "./nowhere", device="cpu")


def test_a_sampler_may_be_given_and_says_its_options_itself(generator):
    own = GeometricSampler(alpha=FixedAlpha(0.3), max_new_tokens=6)
    drawn = QStarGenerator("tiny/policy", "tiny/expert", device="cpu", sampler=own)
    assert drawn.generate(PROMPTS, seed=3).texts == generator.generate(PROMPTS, max_new_tokens=6, seed=3).texts
    with pytest.raises(UserError, match="top_p must be an option of the sampler that was given"):
        drawn.generate(PROMPTS, top_p=0.5)
