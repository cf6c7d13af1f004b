import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.llm import endpoint
from qstar_pl.evaluation.judges.llm.endpoint import Endpoint, retry_after_s
from qstar_pl.evaluation.judges.llm.reply import RequestError


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after_s(headers, 60.0) == wait


def test_whose_key_goes_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-alone")
    monkeypatch.setenv("OTHER", "other-key")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert Endpoint(None, None, 1.0)._key == "sk-openai-alone"
    assert Endpoint("https://api.openai.com/v1", None, 1.0)._key == "sk-openai-alone"
    assert Endpoint("https://api.openai.com.else.where/v1", None, 1.0)._key == "none"
    assert Endpoint("http://localhost:8000/v1", None, 1.0)._key == "none"
    assert Endpoint("http://localhost:8000/v1", "OTHER", 1.0)._key == "other-key"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1/")
    assert Endpoint(None, None, 1.0).address == "http://elsewhere/v1"


@pytest.mark.parametrize("key", ["sk-two words", "sk-…", "sk-\u200b0123456789"])
def test_a_key_that_cannot_be_sent_is_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", key)
    with pytest.raises(UserError, match="the environment variable OTHER must hold a key") as error:
        Endpoint("http://h/v1", "OTHER", 1.0).check()
    assert key not in str(error.value)


@pytest.fixture
def trickling() -> Iterator[str]:
    """The address of a server whose reply begins at once and comes byte by byte, for two seconds at most."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):  # whoever asked has gone
            connection, _ = listening.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n")
            for _ in range(100):
                connection.sendall(b" ")
                time.sleep(0.02)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    listening.close()
    thread.join()


def test_a_reply_that_does_not_end_is_a_time_out(trickling: str) -> None:
    one, began = Endpoint(trickling, None, timeout_s=0.3), time.monotonic()
    with pytest.raises(RequestError, match=r"time-out: no reply in 0\.3 s"):
        one.ask({"model": "m", "messages": []})
    assert time.monotonic() - began < 1.5
    one.close()


def test_a_reply_without_measure_is_not_read_to_its_end(trickling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "LONGEST_BODY", 5)
    one = Endpoint(trickling, None, timeout_s=30.0)
    with pytest.raises(RequestError, match="malformed body: longer than 5 bytes"):
        one.ask({"model": "m", "messages": []})
    one.close()
