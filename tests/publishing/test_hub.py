"""A folder on its way to a stand-in of the hub on this machine."""

import base64
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from qstar_pl.errors import UserError
from qstar_pl.publishing.hub import check_push, push

TOKEN = "hf_notarealtokenatall"  # nosec B105


class StandIn(ThreadingHTTPServer):
    """What the hub's API answers to whoever makes a repository and commits files to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.made: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()
        self.status = 200
        """Of every answer, for a hub that refuses."""
        self.private = True
        """Whether the repository is."""


class Answers(BaseHTTPRequestHandler):
    server: StandIn

    def answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body if self.server.status == 200 else {"error": f"refused {TOKEN}"}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self.answer({"id": "me/model", "sha": "0" * 40, "siblings": [], "private": self.server.private, "tags": []})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length")
        if length is None:  # in chunks
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(length))
        self.server.tokens.add(self.headers.get("Authorization"))
        if self.path == "/api/repos/create":
            self.server.made.append(json.loads(body))
            self.answer({"url": "https://huggingface.co/me/model", "name": "me/model"})
        elif self.path.endswith("/preupload/main"):
            files = [{"path": one["path"], "uploadMode": "regular"} for one in json.loads(body)["files"]]
            self.answer({"files": [{**one, "shouldIgnore": False, "oid": None} for one in files]})
        elif self.path.endswith("/commit/main"):
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file" and self.server.status == 200:
                    self.server.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self.answer({"commitUrl": "https://huggingface.co/me/model/commit/0", "commitOid": "0" * 40})
        else:
            self.answer({})

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield server
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "exported"
    made.mkdir()
    (made / "README.md").write_text("---\ntags: [qstar-pl]\n---\n\n# A model\n")
    (made / "model.safetensors").write_bytes(bytes(range(256)))
    return made


@pytest.mark.parametrize("private", [False, True])
def test_the_whole_folder_arrives_as_it_is(hub: StandIn, folder: Path, private: bool) -> None:
    check_push("me/model")
    assert push(folder, "me/model", private=private) == f"{os.environ['HF_ENDPOINT']}/me/model"
    assert hub.files == {file.name: file.read_bytes() for file in folder.iterdir()}
    (made,) = hub.made
    asked = made.get("private") or made.get("visibility") == "private"
    assert (made["name"], made["organization"], bool(asked)) == ("model", "me", private)
    assert hub.tokens == {f"Bearer {TOKEN}"}


def test_a_hub_that_refuses_is_one_line_without_the_token(hub: StandIn, folder: Path) -> None:
    hub.status = 403
    with pytest.raises(UserError, match="push_to_hub must reach the hub, got ") as error:
        push(folder, "me/model", private=False)
    assert TOKEN not in str(error.value)
    assert "\n" not in str(error.value)
    assert f"hf upload me/model {folder}" in str(error.value)
    assert len(list(folder.iterdir())) == 2


def test_nothing_meant_to_be_private_goes_to_a_public_repository(hub: StandIn, folder: Path) -> None:
    hub.private = False
    with pytest.raises(UserError, match="private must be left out for a repository that is public, got me/model"):
        push(folder, "me/model", private=True)
    assert hub.files == {}


def test_no_hub_at_all(hub: StandIn, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.shutdown()
    hub.server_close()
    with pytest.raises(UserError, match="push_to_hub must reach the hub"):
        push(folder, "me/model", private=False)
    assert (folder / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["model", "me/", "me/a/b", "me/mo del", ""])
def test_a_name_that_is_none(hub: StandIn, name: str) -> None:
    with pytest.raises(UserError, match=r"^push_to_hub must be USER/NAME, got"):
        check_push(name)


def test_nobody_is_logged_in_or_the_hub_is_off(hub: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(UserError, match="who is logged in"):
        check_push("me/model")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        check_push("me/model")
