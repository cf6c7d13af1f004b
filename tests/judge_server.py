"""A server on 127.0.0.1 that speaks the protocol of chat completions, and fails as servers do."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from qstar_pl.evaluation.judges import Comparison
from qstar_pl.evaluation.judges.llm import Limits
from qstar_pl.types import Example, Turn

FAULTS = ("500", "delay", "429", "malformed", "empty", "cut")
QUICK = Limits(first_wait_s=0.01, longest_wait_s=0.05, timeout_s=60.0)
SHORT = """\
kind: pairwise
user: "Q {prompt} 1 {answer_1} 2 {answer_2}"
verdict: {first: "Verdict: 1", second: "Verdict: 2", tie: "Verdict: tie"}
"""

SIZE = 500
Say = Callable[[str], str | dict[str, Any]]
"""The last message of a request → what the model writes, or its whole choice."""


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Nothing: whoever asked was killed."""


class JudgeServer:
    """Answers what `say` says; a share of requests fails first, in ways that depend on the request and its attempt."""

    def __init__(self, say: Say, *, failing: int = 0, delay_s: float = 0.0, usage: bool = True) -> None:
        self.say = say
        self.failing = failing
        """In percent."""
        self.delay_s = delay_s
        self.usage = usage
        self.retry_after = "0.01"
        self.code: str | None = None
        self.fault: Callable[[str, int], str | None] = self._planned
        """(request's hash, its attempt) → one of FAULTS, the number of a status, or None."""
        self.requests: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        """Requests whose reply was sent in full, by the hash of their body."""
        self.failed: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._changed = threading.Condition()
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for_answers(self, number: int, timeout_s: float = 60.0) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.answered.total() >= number, timeout_s), self.answered.total()

    def _planned(self, key: str, attempt: int) -> str | None:
        drawn = int.from_bytes(hashlib.sha256(f"{key} {attempt}".encode()).digest()[:4], "big")
        return FAULTS[drawn // 100 % len(FAULTS)] if drawn % 100 < self.failing else None

    def _begin(self, key: str, body: dict[str, Any]) -> int:
        with self._changed:
            self.requests[key] += 1
            self.bodies.append(body)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return self.requests[key]

    def _end(self, key: str, fault: str | None) -> None:
        with self._changed:
            self._at_once -= 1
            (self.answered if fault in (None, "delay") else self.failed)[key] += 1
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet per reply
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                key = hashlib.sha256(sent).hexdigest()[:16]
                body = json.loads(sent)
                fault = owner.fault(key, owner._begin(key, body))
                time.sleep(owner.delay_s + (0.03 if fault == "delay" else 0.0))
                try:
                    self._reply(fault, body)
                except (BrokenPipeError, ConnectionResetError):  # whoever asked was killed
                    fault = "gone"
                owner._end(key, fault)

            def _reply(self, fault: str | None, body: Mapping[str, Any]) -> None:
                if fault is not None and fault.isdigit():
                    # A server that gives away what it was sent.
                    error = {"message": f"no, {self.headers['Authorization']}", "code": owner.code}
                    later = {"Retry-After": owner.retry_after} if fault == "429" else {}
                    self._send(int(fault), json.dumps({"error": error}).encode(), later)
                    return
                said = "" if fault == "empty" else owner.say(body["messages"][-1]["content"])
                choice = said if isinstance(said, dict) else {"message": {"content": said}, "finish_reason": "stop"}
                usage = {"usage": {"prompt_tokens": 100, "completion_tokens": 10}} if owner.usage else {}
                text = json.dumps({"choices": [{"index": 0, **choice}], **usage}).encode()
                if fault == "malformed":
                    text = text[: len(text) // 2]
                self._send(200, text, cut=fault == "cut")

            def _send(
                self, status: int, text: bytes, headers: Mapping[str, str] | None = None, cut: bool = False
            ) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text[: len(text) // 2] if cut else text)
                self.wfile.flush()
                self.close_connection = cut

            def log_message(self, *_: object) -> None:
                """Nothing: the test's output is not the server's."""

        return Handler


def comparison(prompt: str, answer: str = "good", baseline: str = "bad") -> Comparison:
    return Comparison(Example(len(prompt), (Turn("user", prompt),)), answer, baseline)


def plan(number: int) -> str:
    """What the answer to a question is worth: better, worse, as good, or what the judge does not decide."""
    return "undecided" if number % 25 == 0 else ("better", "worse", "equal")[number % 3]


def rows() -> list[Comparison]:
    return [comparison(f"{number}?", f"{plan(number)} [[A]] Verdict: 1", "baseline") for number in range(SIZE)]


def say(message: str) -> str:
    first, second = message.partition(" 1 ")[2].split(" 2 ")
    if "undecided" in message:
        return "Both have merits.\nVerdict: both"
    if "equal" in message:
        return "Hard to say.\nVerdict: tie"
    good = "first" if ("better" in first or "worse" in second) else "second"
    return f"They say Verdict: 2.\n\n**Verdict: {1 if good == 'first' else 2}**\n"
