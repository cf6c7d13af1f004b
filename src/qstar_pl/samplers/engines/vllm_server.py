"""A running vLLM server, to which weights go through a folder that both can read."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import torch
from torch import distributed

from qstar_pl.checks import at_least, positive
from qstar_pl.errors import UserError
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.law import Law
from qstar_pl.samplers.engines.engine import Engine, Generated, Job, RunningEngine, Weights
from qstar_pl.samplers.engines.vllm import RECEIVER, check_law
from qstar_pl.samplers.engines.vllm_requests import Answer, answer_of, generated_of, parameters_of, prompts_of

KEY = "VLLM_API_KEY"
"""Environment variable with the server's key, if it has one."""
_HOW = f"VLLM_SERVER_DEV_MODE=1 vllm serve … --enable-scale-out --worker-extension-cls {RECEIVER}"


@dataclass(frozen=True)
class VLLMServer(Engine):
    """A vLLM server of this run's own, started with the project's worker extension (see integrations.md).

    Under `Geometric` the server must have been started with the processor of the same law and target.
    """

    urls: tuple[str, ...] = ("http://127.0.0.1:8000",)
    """One server for each process that trains, in the order of their ranks."""
    folder: str | None = None
    """Where weights pass from here to the servers, which must see it under the same path; null: a temporary folder of
    this machine."""
    connections: int = 64
    """Requests that are under way at a time, at least 1."""
    timeout_s: float = 600.0
    """Longest wait for one reply, s."""

    def __post_init__(self) -> None:
        at_least(1, connections=self.connections)
        positive(timeout_s=self.timeout_s)
        for url in self.urls:
            if urlsplit(url).scheme not in ("http", "https"):
                raise UserError(f"urls must be those of servers (http://host:port), got {url}")

    def check(self, law: Law) -> None:
        """See `Engine.check`."""
        check_law(law)

    def held_bytes(self, parameters: int, dtype: torch.dtype, device_bytes: float) -> float:
        """See `Engine.held_bytes`: the server's device is its own."""
        return 0.0

    def start(self, policy: LanguageModel, target: NextToken, law: Law, longest: int) -> RunningEngine:
        """See `Engine.start`: the server runs already, and is asked whether it can serve."""
        initialized = distributed.is_initialized()
        rank, size = (distributed.get_rank(), distributed.get_world_size()) if initialized else (0, 1)
        if len(self.urls) != size:
            raise UserError(f"urls must name a server for each of the {size} processes that train, got {self.urls}")
        client = Client(self.urls[rank].rstrip("/"), self.timeout_s)
        facts = client.worker("qstar_facts")
        rows = policy.model.config.get_text_config().vocab_size
        wanted = {"workers": 1, "logprobs_mode": "processed_logprobs", "vocab_size": rows}
        for name, value in wanted.items():
            if facts[name] != value:
                raise UserError(f"urls must name a server with {name} {value} for VLLMServer, got {facts[name]}")
        return VLLMClient(client, facts, self.folder, self.connections)


class Client:
    """Speaks with one server."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url = url
        self._timeout_s = timeout_s

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the reply to a request.

        Raises:
            UserError: if there is none, or it is an error.

        """
        headers = {"Content-Type": "application/json"}
        if KEY in os.environ:
            headers["Authorization"] = f"Bearer {os.environ[KEY]}"
        # The scheme is http or https: `VLLMServer` has checked it.
        request = Request(f"{self.url}{path}", json.dumps(body).encode(), headers)  # nosec B310
        try:
            with urlopen(request, timeout=self._timeout_s) as reply:  # nosec B310
                text = reply.read()
        except HTTPError as error:
            said = error.read(500).decode(errors="replace")
            hint = f"; start it as {_HOW}" if error.code in (403, 404) else ""
            raise UserError(
                f"urls must name a vLLM server that serves {path}, got {error.code} from {self.url}: {said}{hint}"
            ) from error
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise UserError(f"urls must name a vLLM server that answers, got {reason} at {self.url}{path}") from error
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise UserError(f"urls must name a vLLM server, got no JSON from {self.url}{path}") from error

    def worker(self, method: str, *arguments: str) -> Any:
        """Call a method of the worker extension, and return what it returns."""
        reply = self.post("/collective_rpc", {"method": method, "args": list(arguments)})
        return reply["results"][0]


class VLLMClient(RunningEngine):
    """A server that has said that it can serve."""

    def __init__(self, client: Client, facts: Mapping[str, Any], folder: str | None, connections: int) -> None:
        self.client = client
        self._dtype: torch.dtype = getattr(torch, facts["dtype"])
        self._takes_seeds: bool = facts["takes_seeds"]
        self._folder = folder
        self._connections = connections

    @property
    def dtype(self) -> torch.dtype:
        """See `RunningEngine.dtype`."""
        return self._dtype

    def push(self, weights: Weights, step: int) -> str:
        """See `RunningEngine.push`; the file is gone when the server has read it."""
        from safetensors.torch import save_file

        with tempfile.TemporaryDirectory(dir=self._folder, prefix=f"step-{step}-") as folder:
            path = Path(folder).resolve() / "model.safetensors"
            # In the server's type: half of the bytes where it is shorter than the trainer's.
            save_file({name: values.to("cpu", self._dtype).contiguous().clone() for name, values in weights}, path)
            self.client.worker("qstar_load", str(path))
        if not self.client.post("/reset_prefix_cache", {})["success"]:
            raise UserError("urls must name a server that is idle when weights are pushed, got one with other requests")
        return self.fingerprint()

    def fingerprint(self) -> str:
        """See `RunningEngine.fingerprint`."""
        return str(self.client.worker("qstar_fingerprint"))

    def generate(self, job: Job) -> Generated:
        """See `RunningEngine.generate`."""
        bodies = [
            {"token_ids": ids, "sampling_params": parameters}
            for ids, parameters in zip(prompts_of(job), parameters_of(job, seeds=self._takes_seeds), strict=True)
        ]
        with ThreadPoolExecutor(min(self._connections, len(bodies))) as pool:
            return generated_of(list(pool.map(lambda body: self._answer(body, job), bodies)), job)

    def _answer(self, body: Mapping[str, Any], job: Job) -> Answer:
        choice = self.client.post("/inference/v1/generate", body)["choices"][0]
        content = (choice.get("logprobs") or {}).get("content") or []
        steps = [
            {one["token_id"]: _finite(one["logprob"]) for one in (*step.get("top_logprobs", ()), step)}
            for step in content
        ]
        return answer_of(choice["token_ids"], steps, job)

    def close(self) -> None:
        """See `RunningEngine.close`: the server goes on."""


def _finite(logprob: float | None) -> float:
    """Return a log-probability as it was before JSON, which has no infinity: vLLM writes −9999 for it."""
    return -math.inf if logprob is None or logprob <= -9999 else logprob
