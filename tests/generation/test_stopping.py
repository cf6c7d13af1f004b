"""Signals in the middle of `qstar generate`: what is written stays, and the same command goes on."""

import os
import signal
from pathlib import Path

import pytest
from small_generation import SMALL, contents, run_small

from qstar_pl.generation import GenerationModule
from qstar_pl.models import Pretrained

WORDS = ("generate", *(f"--{name}={value}" for name, value in SMALL.items()), "--device=cpu", "--quiet")


def sent_before(monkeypatch: pytest.MonkeyPatch, batch: int, number: int) -> None:
    """Let this process get a signal, as from a terminal or a scheduler, before the answers of a batch."""
    predict = GenerationModule.predict_step

    def interrupted(module: GenerationModule, prompts: object, batch_idx: int, dataloader_idx: int = 0) -> object:
        if batch_idx == batch:
            os.kill(os.getpid(), number)
        return predict(module, prompts, batch_idx, dataloader_idx)

    monkeypatch.setattr(GenerationModule, "predict_step", interrupted)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("whole") / "out.jsonl"
    run_small(output, device="cpu")
    return contents(output)


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (signal.SIGTERM, "SIGTERM", 143),
        (signal.SIGINT, "Ctrl-C", 130),
        (signal.SIGUSR1, "SIGUSR1", 138),
        (signal.SIGHUP, "SIGHUP", 129),
    ],
)
def test_a_signal_ends_it_and_the_same_command_goes_on(qstar, monkeypatch, whole, number, name, code):
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with monkeypatch.context() as patch:
            sent_before(patch, 2, number)
            got, _, err = qstar(*WORDS, "--output=out.jsonl")
        assert got == code, err
        assert err.strip().splitlines() == [
            f"{name}: stopped; 12 of 20 rows are safe in out.jsonl.work; the same command goes on with the others"
        ]
        assert signal.getsignal(number) == signal.SIG_DFL
        assert not list(Path().glob(".*.lock")), "another run may have the file"
    finally:
        signal.signal(number, before)
    got, out, err = qstar(*WORDS, "--output=out.jsonl")
    assert got == 0, err
    assert "20 rows, 12 of them kept" in out
    assert contents(Path("out.jsonl").absolute()) == whole


def test_a_signal_while_models_are_loaded(qstar, monkeypatch):
    monkeypatch.setattr(Pretrained, "load", lambda self: os.kill(os.getpid(), signal.SIGTERM))
    code, _, err = qstar(*WORDS, "--output=out.jsonl")
    assert code == 143
    assert "SIGTERM: stopped; 0 of 20 rows are safe in out.jsonl.work; the same command goes on" in err


def test_a_signal_that_is_ignored_stays_so(qstar, monkeypatch):
    """`nohup` has SIGHUP ignored, so that a run outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        sent_before(monkeypatch, 1, signal.SIGHUP)
        code, _, err = qstar(*WORDS, "--output=out.jsonl")
        assert code == 0, err
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_slurm_queues_the_job_again(qstar, monkeypatch):
    tools = Path("tools")
    tools.mkdir()
    (tools / "scontrol").write_text('#!/bin/sh\necho "$@" >> asked\n')
    (tools / "scontrol").chmod(0o755)
    (tools / "srun").symlink_to("scontrol")
    monkeypatch.setenv("PATH", f"{tools.resolve()}:{os.environ['PATH']}")
    for name, value in {"NTASKS": 1, "JOB_ID": 12345, "PROCID": 0, "LOCALID": 0, "NODEID": 0}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    sent_before(monkeypatch, 1, signal.SIGUSR1)
    code, out, err = qstar(*WORDS, "--output=out.jsonl")
    assert code == 138, err
    assert out.splitlines()[-1] == "job 12345 is queued again"
    assert Path("asked").read_text() == "requeue 12345\n"


def test_the_date_of_the_prompts(qstar):
    from qstar_pl.models.tokenizers import load_tokenizer

    Pretrained("tiny/policy").load().save_pretrained("model")
    tokenizer = load_tokenizer("tiny")
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}\\n{{ m['content'] }}{% endfor %}"
    tokenizer.save_pretrained("model")
    words = (*WORDS, "--model_theta=./model", "--end_idx=2")
    assert qstar(*words, "--output=out.jsonl", "--date=2026-03-01")[0] == 0
    assert '"date": "2026-03-01"' in Path("out.run.json").read_text()
    assert qstar(*words, "--output=out.jsonl")[0] == 0, "the run knows its day"
    code, _, err = qstar(*words, "--output=o.jsonl", "--date=yesterday")
    assert code == 2
    assert "error: date must be a day as YYYY-MM-DD, got 'yesterday'" in err
