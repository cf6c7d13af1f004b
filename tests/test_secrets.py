from pathlib import Path

import pytest

from qstar_pl.secrets import is_secret, shown, shown_command


def test_the_home_folder_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/somebody"))
    assert shown("/home/somebody/rows.jsonl, /home/somebody") == "~/rows.jsonl, ~"
    assert shown("`/home/somebody`, /home/somebody.") == "`~`, ~."
    for other in ("/home/somebodyelse/rows.jsonl", "/mnt/home/somebody/rows.jsonl", "/home/somebody.old/rows.jsonl"):
        assert shown(other) == other
    assert shown_command(["qstar", "--data.path=/home/somebody/my rows.jsonl"]) == "qstar '--data.path=~/my rows.jsonl'"
    assert shown_command(["qstar", "--data.path=/home/somebody/rows.jsonl"]) == "qstar --data.path=~/rows.jsonl"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--trainer.logger.api_key=abc"], "'--trainer.logger.api_key=***'"),
        (["--trainer.logger.token", "abc", "--model=DPO"], "--trainer.logger.token '***' --model=DPO"),
        (["--model.policy.name=x", "hf_abcdefghijkl"], "--model.policy.name=x '***'"),
        (["--data.path=https://me:word@host/rows"], "'--data.path=https://***@host/rows'"),
        (["--data.path=https://token@host/rows"], "'--data.path=https://***@host/rows'"),
        (
            ["--model.reward={class_path: J, init_args: {key: 1, api_key: abc}}"],
            "'--model.reward={class_path: J, init_args: {key: 1, api_key: ***}}'",
        ),
        (['--model.reward={"api_key": "a b"}'], "'--model.reward={\"api_key\": ***}'"),
        (["--model.sampler.max_new_tokens=8"], "--model.sampler.max_new_tokens=8"),
        (["--model.sampler.max_new_tokens", "8"], "--model.sampler.max_new_tokens 8"),
    ],
)
def test_values_that_are_nobody_s_business(words: list[str], line: str) -> None:
    assert shown_command(words) == line


@pytest.mark.parametrize("name", ["token", "hf_token", "trainer.logger.api_key", "client_secret", "password"])
def test_names_that_say_so(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["max_new_tokens", "key", "model.metrics", "trainer.callbacks.monitor", "tokens"])
def test_names_that_do_not(name: str) -> None:
    assert not is_secret(name)


def test_an_argument_of_a_class_keeps_its_secret() -> None:
    assert shown("Judge(hf_token=abc, max_new_tokens=8)") == "Judge(hf_token=***, max_new_tokens=8)"
    assert shown("Judge(password='a b', key=1)") == "Judge(password=***, key=1)"
