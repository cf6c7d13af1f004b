"""Weights in a vLLM worker: taken in from a trainer, and read back from what the worker computes with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from qstar_pl.models.value_fingerprint import value_fingerprint

_ROWS = 256


class WeightReceiver:
    """A `worker_extension_cls` of vLLM: its methods are called on every worker, by name (`collective_rpc`)."""

    model_runner: Any
    vllm_config: Any
    device: torch.device
    reload_weights: Any

    def qstar_facts(self) -> dict[str, Any]:
        """Return how the engine was started, as far as a sampler must know."""
        model = self.vllm_config.model_config
        return {
            "dtype": str(model.dtype).removeprefix("torch."),
            "workers": self.vllm_config.parallel_config.world_size_across_dp,
            "logprobs_mode": str(model.logprobs_mode),
            "max_logprobs": model.max_logprobs,
            "max_model_len": model.max_model_len,
            "vocab_size": model.get_vocab_size(),
            # vLLM 0.32 fails on a CPU where a prompt of a request with a seed is read in chunks.
            "takes_seeds": self.device.type != "cpu",
        }

    def qstar_load(self, path: str) -> None:
        """Take the weights of a safetensors file, under the names of the model's own checkpoint."""
        with safe_open(path, framework="pt") as file:
            self.qstar_take((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118 (no mapping)

    def qstar_take(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Take weights from the same process."""
        self.reload_weights(weights_iterator=iter(weights))
        for module in self.model_runner.get_model().modules():
            _pack_again(module)

    def qstar_fingerprint(self) -> str:
        """Return `value_fingerprint` of what the next token will be computed with."""
        return value_fingerprint(computed_with(self.model_runner.get_model()), self.vllm_config.model_config.dtype)


def computed_with(model: nn.Module) -> Iterator[Tensor]:
    """Yield the weights that a vLLM model computes with, tied ones once.

    On a CPU vLLM packs the weights of linear layers for its kernels, and layers look no further than what was packed.
    There they are read back through the kernel itself: its products with unit vectors are the weights, exactly.
    """
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            known = id(parameter) in seen
            seen.add(id(parameter))
            if name != "weight" or not hasattr(module, "cpu_linear"):
                if not known:
                    yield parameter
                continue
            packed = _unpacked(module)
            same = parameter.numel() > 0 and torch.equal(packed, parameter)
            if not (known and same):
                yield packed
            if parameter.numel() > 0 and not same:  # an embedding looks its rows up in the parameter
                yield parameter


def _unpacked(module: Any) -> Tensor:
    """Return the weight [outputs, inputs] that a packed linear layer multiplies with."""
    weight = module.weight
    inputs = weight.shape[1] if weight.numel() else module.input_size_per_partition
    parts = []
    for start in range(0, inputs, _ROWS):
        unit = torch.zeros(min(_ROWS, inputs - start), inputs, dtype=weight.dtype)
        unit[:, start:].fill_diagonal_(1)
        parts.append(module.cpu_linear(unit, weight, None))
    return torch.cat(parts).t()


def _pack_again(module: Any) -> None:
    """Pack a weight that has stayed where it was: vLLM 0.32 leaves the packed output head that is tied to an embedding
    as it was when other weights are loaded, and goes on to compute with the old one."""
    weight = getattr(module, "weight", None)
    if hasattr(module, "cpu_linear") and isinstance(weight, Tensor) and weight.numel() > 0:
        from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

        dispatch_cpu_unquantized_gemm(module, remove_weight=False)
