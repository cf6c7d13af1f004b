"""What decoding asks of a device at every token beside the two forwards: operations, and waits for an answer.

    python benchmarks/decode_ops.py [--rows 8] [--look-every 16] [--baseline DIR]

Counted by torch's dispatcher, on a CPU and for small GPT-2s, as the slope between rollouts of 16 and 48 tokens: what a
rollout does before and behind its loop drops out. An operation that is not a view is at least one kernel on a device.
A wait is whatever hands a value to Python, or has a shape that depends on values: item, tolist, bool, nonzero, an index
by a mask. Every `--look-every` tokens the loop looks once at what it has found; what this costs is part of the slope.

With `--baseline`, a checkout of another version of this project, that version is counted first, in its own process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

SHORT, LONG, VOCAB = 16, 48, 101
TO_PYTHON = {"item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "__array__"}
WAITING = {
    "_local_scalar_dense",
    "equal",
    "is_nonzero",
    "item",
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "unique_consecutive",
    "_unique2",
    "unique_dim",
}
"""Operations that must know a value before they return; `repeat_interleave` where the numbers are a tensor's."""
VIEWS = {
    "_reshape_alias",
    "_unsafe_view",
    "alias",
    "as_strided",
    "detach",
    "diagonal",
    "expand",
    "narrow",
    "permute",
    "select",
    "slice",
    "split",
    "split_with_sizes",
    "squeeze",
    "t",
    "transpose",
    "unbind",
    "unfold",
    "unsqueeze",
    "view",
}


class Operations:
    """Counts what is dispatched outside of the models while `counting`."""

    def __init__(self, *models: torch.nn.Module) -> None:
        """Leave out what happens in the forwards of `models`."""
        self.kernels: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self._inside = 0
        for model in models:
            model.register_forward_pre_hook(lambda *_: self._enter(1))
            model.register_forward_hook(lambda *_: self._enter(-1))

    def _enter(self, step: int) -> None:
        self._inside += step

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what this thread does inside the block."""
        operations = self

        class Dispatched(TorchDispatchMode):
            def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                operations.dispatched(function, args)
                return function(*args, **(kwargs or {}))

        class Called(TorchFunctionMode):
            # A CPU's tensors are read by Python without any dispatch.
            def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                if not operations._inside and getattr(function, "__name__", "") in TO_PYTHON:
                    operations.waits[function.__name__] += 1
                return function(*args, **(kwargs or {}))

        with Dispatched(), Called():
            yield

    def dispatched(self, function: Any, args: Any) -> None:
        """Note one operation."""
        name = function.overloadpacket.__name__
        if self._inside:
            return
        if name not in VIEWS:
            self.kernels[name] += 1
        by_mask = name in {"index", "index_put", "index_put_", "_index_put_impl_"} and any(
            isinstance(index, Tensor) and index.dtype == torch.bool for index in args[1]
        )
        counted = name == "repeat_interleave" and function._overloadname != "Tensor"
        # Python's own reading (`bool`, `int`) is seen above, and is this operation.
        if by_mask or (name in WAITING - {"_local_scalar_dense"} and not counted):
            self.waits["index by a mask" if by_mask else name] += 1


def slope(short: Counter[str], long: Counter[str], tokens: int) -> dict[str, float]:
    """Return how much each count grows per token."""
    return {name: (long[name] - short[name]) / tokens for name in sorted(long | short) if long[name] != short[name]}


def small_gpt2(seed: int, eos: int | None = None) -> PreTrainedModel:
    """Make a GPT-2, without EOS unless one is given."""
    config = AutoConfig.for_model(
        "gpt2",
        n_layer=1,
        n_embd=16,
        n_head=2,
        vocab_size=VOCAB,
        initializer_range=0.3,
        bos_token_id=eos,
        eos_token_id=eos,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    return model


def laws() -> dict[str, tuple[Any, Any]]:
    """Return the laws that are counted, with their truncation."""
    from qstar_pl.qstar import EntropyAlpha, ESSBalanceAlpha, FixedAlpha, KLSymmetricAlpha, SNRAlpha
    from qstar_pl.rollout import Alone, Geometric, Truncation

    strategies = (KLSymmetricAlpha(), ESSBalanceAlpha(), SNRAlpha(), EntropyAlpha(), FixedAlpha())
    whole, cut = Truncation(), Truncation(0.8, 40, 0.95)
    return {
        **{type(alpha).__name__: (Geometric(alpha), whole) for alpha in strategies},
        "KLSymmetricAlpha, top-k, top-p": (Geometric(KLSymmetricAlpha()), cut),
        "policy alone": (Alone("policy"), whole),
    }


def per_token(
    draw: Callable[..., object], models: tuple[PreTrainedModel, ...], rows: int, tokens: tuple[int, int]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return (kernels, waits) per token, by name.

    Args:
        draw: given prompts, policy, target and `max_new_tokens`, decodes.
        models: π_θ and π_t.
        rows: prompts.
        tokens: lengths of the two rollouts that are compared.

    """
    from qstar_pl.models import LanguageModel
    from qstar_pl.types import PromptBatch

    ids = torch.randint(4, VOCAB, (rows, 8), generator=torch.Generator().manual_seed(0))
    prompts = PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool), torch.arange(rows), ())
    operations = Operations(*models)
    policy, target = (LanguageModel(model) for model in models)
    draw(prompts, policy, target, max_new_tokens=2)  # the models are probed on first use
    kernels, waits = [], []
    for length in tokens:
        with operations.counting():
            draw(prompts, policy, target, max_new_tokens=length)
        kernels.append(Counter(operations.kernels))
        waits.append(Counter(operations.waits))
        operations.kernels.clear()
        operations.waits.clear()
    more = tokens[1] - tokens[0]
    return slope(kernels[0], kernels[1], more), slope(waits[0], waits[1], more)


def decoding(law: Any, truncation: Any, look_every: int) -> Callable[..., object]:
    """Return a function for `per_token`; older versions look at every token."""
    from qstar_pl.rollout import decode
    from qstar_pl.rollout.pace import Pace

    pace: dict[str, Any] = {"pace": Pace(look_every=look_every)} if "look_every" in Pace.__annotations__ else {}
    return partial(decode, law=law, truncation=truncation, samples=1, seed=0, **pace)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--look-every", type=int, default=16)
    parser.add_argument("--baseline", type=Path, help="checkout of another version, counted first")
    options = parser.parse_args()
    if options.baseline is not None:
        environment = {**os.environ, "PYTHONPATH": str(options.baseline.resolve() / "src")}
        print("before", flush=True)
        arguments = [f"--rows={options.rows}", f"--look-every={options.look_every}"]
        subprocess.run([sys.executable, __file__, *arguments], env=environment, check=True)
        print("after")
    for name, (law, truncation) in laws().items():
        draw = decoding(law, truncation, options.look_every)
        kernels, waits = per_token(draw, (small_gpt2(0), small_gpt2(1)), options.rows, (SHORT, LONG))
        print(
            f"{name:31s} {sum(kernels.values()):6.1f} kernels and {sum(waits.values()):5.2f} waits per token  ", end=""
        )
        print(", ".join(f"{kind} {count:.2f}" for kind, count in waits.items()))


if __name__ == "__main__":
    main()
