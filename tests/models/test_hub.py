"""Without a network: at once, and what is in the cache is used."""

import os
import time

import pytest
from huggingface_hub import constants

from qstar_pl.errors import UserError
from qstar_pl.models import hub
from qstar_pl.models.tokenizers import load_tokenizer


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub at a port of this machine where nobody listens."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    hub._answers.cache_clear()


@pytest.mark.usefixtures("no_network")
def test_no_network_is_found_out_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(UserError, match=r"^policy must lead to a tokenizer, got 'no/such': .* cannot be asked"):
            load_tokenizer("no/such", argument="policy")
    assert time.monotonic() - began < 5
    assert capsys.readouterr().err == "notice: http://127.0.0.1:9 does not answer; what is in the cache is used\n"
    assert os.environ["HF_HUB_OFFLINE"] == "1", "processes that this one starts need not ask"


def test_every_process_of_a_run_fails_so_and_one_says_it() -> None:
    error = hub.refused("name must exist, got 'x': ", "no", OSError("We couldn't connect to 'https://huggingface.co'"))
    assert error.everywhere
    other = hub.refused("name must exist, got 'x': ", "bad file", OSError("bad file"))
    assert str(other) == "name must exist, got 'x': bad file"
    assert not other.everywhere


def test_a_proxy_is_asked_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.example")
    monkeypatch.setattr(hub, "getproxies", dict)
    assert hub._address() == ("hub.example", 443)
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy.example:3128"})
    monkeypatch.setenv("no_proxy", "")
    assert hub._address() == ("proxy.example", 3128)
    monkeypatch.setattr(hub, "getproxies", lambda: {"all": "socks5://proxy.example"})
    assert hub._address() == ("proxy.example", 1080)
    monkeypatch.setenv("no_proxy", "hub.example")
    assert hub._address() == ("hub.example", 443)
