"""Stages through the real command: SFT → DPO → q*, and out to Hugging Face."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_run import SMALL
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from qstar_pl.cli.build import build
from qstar_pl.models import FromCheckpoint, LanguageModel
from qstar_pl.models.tokenizers import load_tokenizer

Call = Callable[..., tuple[int, str, str]]
ONE_STEP = (*SMALL, "--trainer.max_steps=1", "--trainer.limit_val_batches=0")
IDS = torch.tensor([[5, 6, 7, 8, 9]])


def train(qstar: Call, method: str, *words: str) -> str:
    code, _, err = qstar("fit", *ONE_STEP, f"--model={method}", f"--name={method}", *words)
    assert code == 0, err
    return f"runs/{method}/version_0/checkpoints/last.ckpt"


def policy_weights(checkpoint: str) -> dict[str, torch.Tensor]:
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    return {key.removeprefix("policy."): value for key, value in state.items() if key.startswith("policy.")}


def test_stages_start_from_each_other_and_are_exported(qstar: Call) -> None:
    sft = train(qstar, "SFT")
    from_sft = ("--model.policy=FromCheckpoint", f"--model.policy.path={sft}")
    dpo = train(qstar, "DPO", *from_sft)
    from_dpo = ("--model.policy=FromCheckpoint", f"--model.policy.path={dpo}")
    short = ("--model.sampler.max_new_tokens=2", "--model.samples_per_prompt=2")
    expert = (
        "--model.target=Expert",
        "--model.target.model=FromCheckpoint",
        f"--model.target.model.path={dpo}",
    )
    last = train(qstar, "QStar", *from_dpo, *expert, *short)

    module = build([*SMALL, "--model=QStar", *from_dpo, *expert]).module
    module.configure_model()
    before = policy_weights(dpo)
    assert not torch.equal(before["transformer.wte.weight"], policy_weights(sft)["transformer.wte.weight"])
    for model in (module.policy, module.reference, module.target.expert):
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())

    code, out, err = qstar("export", f"--ckpt_path={last}", "--output=exported")
    assert code == 0, err
    assert out.splitlines() == ["written: exported", "  load it:  AutoModelForCausalLM.from_pretrained('exported')"]
    assert list(Path("exported").glob("*.safetensors"))
    assert not list(Path("exported").glob("*.bin"))
    exported = AutoModelForCausalLM.from_pretrained("exported")
    module.policy.load_state_dict(policy_weights(last))
    with torch.no_grad():
        assert torch.equal(exported(IDS).logits, module.policy(IDS).logits)
    text = "User: hello\n"
    assert AutoTokenizer.from_pretrained("exported")(text)["input_ids"] == module.tokenizer(text)["input_ids"]
    code, _, err = qstar("validate", *SMALL, "--model=SFT", "--model.policy=Pretrained", "--model.policy.name=exported")
    assert code == 0, err

    code, _, err = qstar("export", f"--ckpt_path={last}", "--output=exported")
    assert code == 2
    assert "output must be a new or an empty folder, got exported" in err


def test_a_reward_model_is_exported_as_a_classifier(qstar: Call) -> None:
    checkpoint = train(qstar, "RewardModeling")
    code, out, err = qstar("export", f"--ckpt_path={checkpoint}", "--output=reward")
    assert code == 0, err
    assert "AutoModelForSequenceClassification.from_pretrained" in out
    model = AutoModelForSequenceClassification.from_pretrained("reward")
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert model.num_labels == 1
    assert all(torch.equal(value, state[f"model.model.{key}"]) for key, value in model.state_dict().items())


def test_a_checkpoint_that_is_not_there(qstar: Call) -> None:
    code, _, err = qstar("export", "--ckpt_path=nowhere.ckpt", "--output=out")
    assert code == 2
    assert "nowhere.ckpt" in err
    assert not Path("out").exists()


@pytest.mark.parametrize("limit", [100, 10_000, 100_000])
@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_nothing(there: bool, limit: int, qstar: Call) -> None:
    checkpoint = train(qstar, "SFT")
    if there:
        Path("out").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        code, _, err = qstar("export", f"--ckpt_path={checkpoint}", "--output=out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2, err
    assert "output must be a folder that can be written, got out" in err.splitlines()[-1]
    assert not list(Path().glob("*out*/*")) + list(Path().glob(".*out*"))
    assert qstar("export", f"--ckpt_path={checkpoint}", "--output=out")[0] == 0


@pytest.mark.parametrize("method", ["LEDPO", "RejectionSampling"])
def test_heads_that_hugging_face_has_no_place_for_are_left_out(method: str, qstar: Call) -> None:
    short = () if method == "LEDPO" else ("--model.sampler.max_new_tokens=2", "--model.samples_per_prompt=2")
    checkpoint = train(qstar, method, *short)
    before = os.umask(0o027)
    try:
        assert qstar("export", f"--ckpt_path={checkpoint}", "--output=out")[0] == 0
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in Path("out").iterdir()} == {0o640}
    exported = AutoModelForCausalLM.from_pretrained("out").state_dict()
    assert exported.keys() == policy_weights(checkpoint).keys()


def bpe_without_pad(folder: Path, *, chat: bool = False) -> Path:
    """A small GPT-2 behind a tokenizer without a pad, as GPT-2's; with two control tokens more if `chat`."""
    tokenizer = load_tokenizer("tiny")
    backend = tokenizer.backend_tokenizer.to_str().replace(f'"{tokenizer.pad_token}"', '"<|nothing|>"')
    plain = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(backend))
    plain.eos_token = plain.bos_token = plain.unk_token = tokenizer.eos_token
    config = AutoConfig.for_model("gpt2", n_layer=1, n_embd=16, n_head=2, n_positions=96, vocab_size=len(plain))
    config.bos_token_id = config.eos_token_id = plain.eos_token_id
    if chat:
        plain.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    plain.save_pretrained(folder)
    return folder


SHORT = ("--data.max_prompt_tokens=64", "--data.max_completion_tokens=16", "--model.reward=null", "--model.gold=null")


def test_an_export_behind_a_tokenizer_without_a_pad_reads_a_padded_batch(qstar: Call) -> None:
    folder = bpe_without_pad(Path("policy"))
    own = ("--model.policy=Pretrained", f"--model.policy.name={folder}")
    sampling = "--model.evaluation_sampler.max_new_tokens=4"
    checkpoint = train(qstar, "SFT", *own, *SHORT, sampling)
    assert qstar("export", f"--ckpt_path={checkpoint}", "--output=out")[0] == 0
    model, tokenizer = AutoModelForCausalLM.from_pretrained("out"), AutoTokenizer.from_pretrained("out")
    assert model.get_input_embeddings().num_embeddings == len(tokenizer)
    assert model.generation_config.eos_token_id == model.generation_config.pad_token_id == tokenizer.eos_token_id
    batch = tokenizer(["Hello", "Hello there, how are you?"], padding=True, return_tensors="pt")
    assert batch["attention_mask"].sum(-1).unique().numel() == 2
    assert model(**batch).logits.isfinite().all()
    assert model.generate(**batch, max_new_tokens=3).shape[0] == 2


@pytest.mark.parametrize("method", ["SFT", "QStar"])
def test_a_token_without_a_row_is_one_line_before_anything_trains(method: str, qstar: Call) -> None:
    folder = bpe_without_pad(Path("policy"), chat=True)
    own = ("--model.policy=Pretrained", f"--model.policy.name={folder}", f"--name={method}")
    code, _, err = qstar("fit", *ONE_STEP, f"--model={method}", *own, "--data.max_prompt_tokens=32")
    assert code != 0
    assert "Traceback" not in err
    rows = len(load_tokenizer("tiny"))
    assert f"embedding of {rows} rows, got '<|im_start|>' with id {rows} and 1 more" in err


def test_answers_under_a_template_given_beside_the_tokenizer_end_with_eos(qstar: Call) -> None:
    """The tokenizer knows no template; the one in the data ends turns with a token, behind which EOS is trained."""
    folder = Path("policy")
    tokenizer = load_tokenizer("tiny")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|done|>"]})
    config = AutoConfig.for_model("gpt2", n_layer=1, n_embd=16, n_head=2, n_positions=256, vocab_size=len(tokenizer))
    config.bos_token_id = config.eos_token_id = tokenizer.eos_token_id
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Path("turns.jinja").write_text(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}<|done|>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    rendering = ("--data.rendering=ChatRendering", "--data.rendering.chat_template=turns.jinja")
    own = ("--model.policy=Pretrained", f"--model.policy.name={folder}", "--model.reward=null", "--model.gold=null")
    checkpoint = train(qstar, "SFT", *own, *rendering)
    assert qstar("export", f"--ckpt_path={checkpoint}", "--output=out")[0] == 0
    assert AutoModelForCausalLM.from_pretrained("out").generation_config.eos_token_id == tokenizer.eos_token_id
    loaded = FromCheckpoint(checkpoint).load()
    assert LanguageModel(loaded, tokenizer).eos_token_ids == (tokenizer.eos_token_id,)


@pytest.mark.parametrize("given", ["nowhere.ckpt", "last", "folder", "garbage.ckpt"])
def test_what_is_no_checkpoint_cannot_be_exported(given: str, qstar: Call) -> None:
    Path("folder").mkdir()
    Path("garbage.ckpt").write_text("garbage")
    code, _, err = qstar("export", f"--ckpt_path={given}", "--output=out")
    assert code == 2
    assert err.startswith("error: ckpt_path must ")
    assert given in err
