"""Whether the Hugging Face hub can be asked: found out once, before its client tries again and again for a minute."""

from __future__ import annotations

import os
import socket
import sys
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from qstar_pl.errors import UserError

PATIENCE_S = 3.0
"""How long an answer is waited for, in seconds."""
_PORTS = {"http": 80, "socks5": 1080, "socks5h": 1080}
"""Where an address names none; else 443."""
_OFFLINE = ("couldn't connect to", "Couldn't reach", "offline mode", "OfflineMode", "LocalEntryNotFound")
"""What transformers and datasets say when they could not ask."""


def settle() -> None:
    """Go on with what is in the cache alone where the hub does not answer, here and in processes that this one starts.

    Prints a notice then. HF_HUB_OFFLINE says from the start that it is not to be asked.
    """
    from huggingface_hub import constants  # here, since a folder needs none

    if constants.HF_HUB_OFFLINE or _answers(*_address()):
        return
    os.environ["HF_HUB_OFFLINE"] = "1"
    constants.HF_HUB_OFFLINE = True
    if (datasets := sys.modules.get("datasets.config")) is not None:  # it copied the setting when it was imported
        datasets.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"notice: {constants.ENDPOINT} does not answer; what is in the cache is used", file=sys.stderr)


def refused(message: str, reason: str, error: BaseException) -> UserError:
    """Return the error for a name that led to nothing: `message`, then the reason, or that no hub could be asked."""
    if not any(word in f"{type(error).__name__} {error}" for word in _OFFLINE):
        return UserError(f"{message}{reason}")
    why = "no network, or HF_HUB_OFFLINE is set"
    failure = UserError(f"{message}it is neither a folder here nor in the cache, and the hub cannot be asked ({why})")
    failure.everywhere = True  # no process of the run can
    return failure


def _address() -> tuple[str, int]:
    """Return host and port of the hub, or of the proxy that leads to it."""
    from huggingface_hub import constants

    url = urlsplit(constants.ENDPOINT)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(url.hostname or ""):
        url = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    return url.hostname or "", url.port or _PORTS.get(url.scheme, 443)


@cache
def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True
