"""A client of a vLLM server: beside one that only speaks like it, and beside a real one where vLLM is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from reference.tiny_models import prompt_batch, random_model
from safetensors.torch import load_file

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel
from qstar_pl.models.value_fingerprint import value_fingerprint
from qstar_pl.models.whole_weights import whole_weights
from qstar_pl.rollout import POLICY, TARGET, Alone
from qstar_pl.samplers import EngineSampler
from qstar_pl.samplers.engines import VLLMServer

FACTS = {
    "dtype": "bfloat16",
    "workers": 1,
    "logprobs_mode": "processed_logprobs",
    "vocab_size": 11,
    "takes_seeds": True,
}


HTML: dict[str, Any] = {"a page": True}


class Speaking(ThreadingHTTPServer):
    """Answers as vLLM's server does: holds what it is sent, and says the prompt backwards."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.facts: dict[str, Any] = dict(FACTS)
        self.held: dict[str, torch.Tensor] = {}
        self.idle, self.deaf = True, False
        self.more = 0
        """Added to the tokens of every answer."""
        self.seen: list[dict[str, Any]] = []

    def reply(self, path: str, body: dict[str, Any]) -> Any:
        if path == "/reset_prefix_cache":
            return {"success": self.idle}
        if path == "/inference/v1/generate":
            self.seen.append(body)
            ids = [one + self.more for one in body["token_ids"][::-1][: body["sampling_params"]["max_tokens"]]]
            content = [{"token_id": one, "logprob": -one / 8, "top_logprobs": []} for one in ids]
            return {"choices": [{"index": 0, "token_ids": ids, "logprobs": {"content": content}}]}
        method, arguments = body["method"], body["args"]
        if method == "qstar_load":
            if not self.deaf:
                self.held = load_file(arguments[0])
            return {"results": [None]}
        if method == "qstar_facts":
            return {"results": [self.facts]}
        return {"results": [value_fingerprint(self.held.values(), torch.bfloat16)]}


class Handler(BaseHTTPRequestHandler):
    server: Speaking

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.server.facts and self.path in ("/collective_rpc", "/reset_prefix_cache", "/inference/v1/generate")
        text = json.dumps(self.server.reply(self.path, body) if known else {"detail": "Not Found"}).encode()
        if self.server.facts == HTML:
            text = b"<html>"
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Speaking]:
    with Speaking() as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


@pytest.fixture
def policy() -> LanguageModel:
    return LanguageModel(random_model(scale=0.3).float())


def sampler(server: Speaking, **options: Any) -> EngineSampler:
    engine = VLLMServer(urls=(f"http://127.0.0.1:{server.server_port}/",), connections=3, timeout_s=20.0, **options)
    return EngineSampler(engine=engine, max_new_tokens=2)


def test_weights_go_through_a_folder_and_answers_come_back(server: Speaking, policy: LanguageModel, tmp_path) -> None:
    prompts = prompt_batch([[3, 4, 5], [6], [7, 8]], pads=1)
    rollout = sampler(server, folder=str(tmp_path)).draw(prompts, policy, policy, samples=2, seed=3)
    assert rollout.completion_ids.tolist() == [[5, 4], [5, 4], [6, 0], [6, 0], [8, 7], [8, 7]]
    torch.testing.assert_close(rollout.behavior_logprobs[:3], -rollout.completion_ids[:3] / 8)
    assert len({one["sampling_params"]["seed"] for one in server.seen}) == 6
    assert list(tmp_path.iterdir()) == []  # the server has read it
    own = dict(whole_weights(policy.model))
    assert {name: value.tolist() for name, value in server.held.items()} == {
        name: value.bfloat16().tolist() for name, value in own.items()
    }
    assert rollout.info.engine.fingerprint == value_fingerprint(own.values(), torch.bfloat16)


def test_mistakes(server: Speaking, policy: LanguageModel) -> None:
    def draw() -> None:
        sampler(server).draw(prompt_batch([[3, 4]]), policy, policy, samples=1, seed=0)

    for name, value in (("workers", 2), ("logprobs_mode", "raw_logprobs"), ("vocab_size", 12)):
        server.facts = {**FACTS, name: value}
        with pytest.raises(UserError, match=f"urls must name a server with {name} {FACTS[name]} .*, got {value}"):
            draw()
    server.facts = {}
    with pytest.raises(
        UserError, match=r"serves /collective_rpc, got 404 from http://127.*; start it as VLLM_SERVER_DEV"
    ):
        draw()
    server.facts = HTML
    with pytest.raises(UserError, match="urls must name a vLLM server, got no JSON from http://127"):
        draw()
    server.facts, server.more = FACTS, 8
    with pytest.raises(
        UserError, match=r"engine must draw from the 11 tokens that the policy's tokenizer has .* got to"
    ):
        draw()
    server.facts, server.idle, server.held = FACTS, False, {}
    with pytest.raises(UserError, match="idle when weights are pushed"):
        draw()
    server.deaf, server.held = True, {}
    server.idle = True
    wanted = r"policy's weights of step 0 \(bfloat16:[0-9a-f]{16}\), got bfloat16:0{16} from VLLMClient"
    with pytest.raises(UserError, match=wanted):
        draw()
    nobody = VLLMServer(urls=("http://127.0.0.1:9",), timeout_s=5.0)
    with pytest.raises(UserError, match="urls must name a vLLM server that answers"):
        nobody.start(policy, policy, Alone(POLICY), 4)
    with pytest.raises(UserError, match="urls must name a server for each of the 1 processes that train"):
        VLLMServer(urls=()).start(policy, policy, Alone(POLICY), 4)
    with pytest.raises(UserError, match=r"urls must be those of servers \(http://host:port\), got file:///etc"):
        VLLMServer(urls=("file:///etc",))
    with pytest.raises(UserError, match=r"law must be Alone\(policy\) or Geometric for vLLM"):
        VLLMServer().check(Alone(TARGET))


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM has an environment of its own")
def test_a_real_server(tmp_path: Path) -> None:
    """Started as the documentation says; two pushes, each with the trainer's log-probabilities at every token."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=8, n_layer=2, n_embd=64, n_head=2, n_positions=128, initializer_range=0.15,
        bos_token_id=1, eos_token_id=1, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    policy = LanguageModel(GPT2LMHeadModel(config).eval())
    policy.model.save_pretrained(tmp_path / "policy")
    command = [
        # `vllm serve` asks for the metadata of a package that the CPU build has under another name.
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(tmp_path / "policy")),
        *("--host", "127.0.0.1", "--port", "18123", "--skip-tokenizer-init", "--dtype", "float32", "--enforce-eager"),
        *("--max-model-len", "96", "--max-num-seqs", "16", "--logprobs-mode", "processed_logprobs"),
        *("--max-logprobs", "-1", "--generation-config", "vllm", "--enable-scale-out"),
        *("--worker-extension-cls", "qstar_pl.integrations.vllm_weights.WeightReceiver"),
    ]
    environment = {**os.environ, "VLLM_SERVER_DEV_MODE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        engine = VLLMServer(urls=("http://127.0.0.1:18123",), timeout_s=60.0)
        for _ in range(300):
            try:
                engine.start(policy, policy, Alone(POLICY), 4)
                break
            except UserError:
                assert process.poll() is None, log.read_text()[-3000:]
                time.sleep(1)
        drawing = EngineSampler(engine=engine, max_new_tokens=12)
        cutting = EngineSampler(engine=engine, max_new_tokens=12, top_k=4)
        held = set()
        for step in range(2):
            with torch.no_grad():
                for parameter in policy.model.parameters():
                    parameter.add_(0.05 * torch.randn_like(parameter))
            drawing.note_step(step)
            prompts = prompt_batch([[3, 4, 2], [5], [6, 7]])
            for one in (drawing, cutting):
                rollout = one.draw(prompts, policy, policy, samples=20, seed=step)
                gap = (rollout.behavior_logprobs - rollout.recomputed_logprobs).abs()
                assert float(gap.max()) < 5e-4
                held.add(rollout.info.engine.fingerprint)
        assert len(held) == 2
        assert int(rollout.info.kept.counts.max()) == 4
    finally:
        process.terminate()
        process.wait(60)
