"""An OpenAI-compatible endpoint, through the official client."""

from __future__ import annotations

import email.utils
import math
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.llm.reply import CONNECTION, Reply, RequestError, reply_of
from qstar_pl.secrets import HIDDEN, without_secrets

if TYPE_CHECKING:
    import openai

OPENAI = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
NO_KEY = "none"
"""Sent where no key is wanted: the client insists on one."""
SHORTEST_KEY = 8
"""A shorter one is no secret, but a word such as EMPTY, which replies may hold."""
LONGEST_DETAIL = 200
LONGEST_BODY = 2**24
"""Bytes of a reply; log-probabilities of 10,000 tokens with 20 alternatives each are fewer."""
_ALWAYS = {
    401: "the key is refused",
    402: "it wants to be paid",
    403: "access is refused",
    404: "there is no such model or address",
}
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_PASSING = {408, 409, 425, 429}


@dataclass(frozen=True)
class Endpoint:
    """Where a judge is asked. Its key is read from the environment, and is in nothing that this object gives away."""

    base_url: str | None
    key_variable: str | None
    timeout_s: float

    @property
    def address(self) -> str:
        """Where requests go: `base_url`, else $OPENAI_BASE_URL, else OpenAI's own."""
        given = os.environ.get("OPENAI_BASE_URL") or OPENAI if self.base_url is None else self.base_url
        return given.rstrip("/")

    def check(self) -> None:
        """Check that requests can be sent.

        Raises:
            UserError: if the client is missing, the address is none, or the environment does not hold the key.

        """
        try:
            import openai  # noqa: F401
        except ImportError as error:
            raise UserError("LLMJudge needs the openai client: pip install 'qstar-pl[judge]'") from error
        self.check_options()
        if self._variable is not None:
            self._check_key(self._variable)
        _ = self._client  # in this thread, so that there is but one

    def check_options(self) -> None:
        """Check the address, and that no option holds a key, before any of them is written anywhere.

        Raises:
            UserError: that shows neither.

        """
        if self.key_variable is not None and not _VARIABLE.fullmatch(self.key_variable):
            raise UserError(
                "key_variable must name an environment variable, in capitals, digits and _ (the key is its value), got "
                "something else"
            )
        try:
            parts = urlsplit(self.address)
            known = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            known = False
        if not known:
            raise UserError(
                f"base_url must be an address such as http://localhost:8000/v1, got {self._shown_address or 'nothing'}"
            )
        if parts.username or parts.password or parts.query:
            raise UserError(
                "base_url must hold no user, password or query, since it is written into results; a key is read from "
                f"the environment variable that key_variable names; got one at {parts.hostname}"
            )

    def ask(self, body: Mapping[str, Any]) -> Reply:
        """Send one request, once.

        Args:
            body: of a chat completion: `model`, `messages` and whatever else the endpoint takes.

        Raises:
            RequestError: if there is no reply.

        """
        import openai

        known = {"model": body["model"], "messages": body["messages"]}
        rest = {name: value for name, value in body.items() if name not in known}
        try:
            with self._client.chat.completions.with_streaming_response.create(**known, extra_body=rest) as response:
                text = self._whole(response.iter_bytes())
        except (openai.APITimeoutError, TimeoutError):
            raise RequestError("time-out", detail=f"no reply in {self.timeout_s:g} s") from None
        except openai.APIConnectionError as error:
            raise RequestError(CONNECTION, detail=self._line(str(error.__cause__ or error))) from None
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except openai.OpenAIError as error:
            raise RequestError("malformed body", detail=self._line(str(error))) from None
        try:
            reply = reply_of(text)
        except RequestError as error:
            error.detail = self._line(error.detail)
            raise
        # A server may send back what it was sent.
        return replace(reply, text=self._without_key(reply.text))

    def _whole(self, pieces: Iterable[bytes]) -> str:
        """Return a body that arrives in pieces.

        Raises:
            TimeoutError: if it is not there after `timeout_s`; the client's own time-out is of each piece.
            RequestError: if it is cut, or longer than `LONGEST_BODY`.

        """
        body, until_s = bytearray(), time.monotonic() + self.timeout_s
        try:
            for piece in pieces:
                body += piece
                if len(body) > LONGEST_BODY:
                    raise RequestError("malformed body", detail=f"longer than {LONGEST_BODY:,} bytes")
                if time.monotonic() > until_s:
                    raise TimeoutError
        except (RequestError, TimeoutError):
            raise
        except Exception as error:  # of whichever HTTP library the client is built on
            if time.monotonic() > until_s:
                raise TimeoutError from None
            raise RequestError(CONNECTION, detail=self._line(str(error))) from None
        return body.decode("utf-8", "replace")

    def close(self) -> None:
        """End the connections."""
        if "_client" in self.__dict__:
            self.__dict__.pop("_client").close()

    def _check_key(self, variable: str) -> None:
        if self._key == NO_KEY:
            raise UserError(f"the environment variable {variable} must hold the key of {self.address}, got nothing")
        if not (self._key.isascii() and self._key.isprintable() and " " not in self._key):
            raise UserError(
                f"the environment variable {variable} must hold a key, got something with spaces or letters "
                "beyond ASCII"
            )

    def _refusal(self, error: openai.APIStatusError) -> RequestError:
        status, detail = error.status_code, self._line(error.message)
        reason = f"HTTP {status}"
        if status in _ALWAYS:
            return RequestError(reason, kind="endpoint", detail=f"{_ALWAYS[status]}: {detail}")
        if error.code == "insufficient_quota":
            return RequestError(reason, kind="endpoint", detail=detail)
        if status in _PASSING or status >= 500:
            wait = retry_after_s(error.response.headers, time.time())
            return RequestError(reason, detail=detail, retry_after_s=wait, busy=status == 429)
        return RequestError(reason, kind="request", detail=detail)

    def _line(self, text: str) -> str:
        """Return what a server or library says in one short line without keys, of which a server may send one back."""
        line = " ".join(without_secrets(self._without_key(text)).split())
        return line if len(line) <= LONGEST_DETAIL else f"{line[:LONGEST_DETAIL]}…"

    def _without_key(self, text: str) -> str:
        key = self._key
        return text.replace(key, HIDDEN) if len(key) >= SHORTEST_KEY else text

    @property
    def _shown_address(self) -> str:
        return re.sub(r"[^/\s]+@", f"{HIDDEN}@", without_secrets(self.address))

    @property
    def _variable(self) -> str | None:
        """Where the key is: OpenAI's for OpenAI, and none that was not named for anybody else."""
        if self.key_variable is not None:
            return self.key_variable
        own = self.base_url is None or urlsplit(self.address).hostname == urlsplit(OPENAI).hostname
        return OPENAI_KEY if own else None

    @property
    def _key(self) -> str:
        return NO_KEY if self._variable is None else os.environ.get(self._variable, "").strip() or NO_KEY

    @cached_property
    def _client(self) -> openai.OpenAI:
        import openai

        # Retries are this package's own: they are counted, share the rate limit, and end with the evaluation.
        return openai.OpenAI(api_key=self._key, base_url=self.address, timeout=self.timeout_s, max_retries=0)


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return how long a server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date.

    Args:
        headers: by names in lower case, or any that ignore case.
        now_s: seconds since 1970.

    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        if (given := headers.get(name)) is None:
            continue
        try:
            wait = float(given) * unit
        except ValueError:
            try:
                wait = email.utils.parsedate_to_datetime(given).timestamp() - now_s
            except (ValueError, OverflowError):
                continue
        if math.isfinite(wait):
            return max(0.0, wait)
    return None
