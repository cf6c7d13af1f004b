"""Every method that trains a policy, on one process or sharded over two; what each rank saw goes to a file.

Run as `python sharded.py <folder> <world size>`, once per rank, with LOCAL_RANK, NODE_RANK, WORLD_SIZE, MASTER_ADDR set
(two ranks), or once (one rank).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference.every_method import METHODS, ppo
from reference.tiny_methods import TinyData, ending_model, run

from qstar_pl.callbacks import LaggedReference
from qstar_pl.distributed import FSDP2Strategy, Sharding
from qstar_pl.distributed.sharding import ShardedPlacement
from qstar_pl.models import LoRA, PolicyBase, Pretrained
from qstar_pl.models.adapter_folder import write_adapter
from qstar_pl.models.placement import placing
from qstar_pl.models.stacked import stacked
from qstar_pl.samplers import EngineSampler
from qstar_pl.samplers.engines import Generated, Job, LocalEngine
from qstar_pl.samplers.engines.local import LocalCopy
from qstar_pl.targets import Expert

MEASURED = {"limit_val_batches": 1, "val_check_interval": 2}
OPTIMIZERS = {"with state": torch.optim.AdamW, "without state": torch.optim.SGD}


class Gathers(TorchDispatchMode):
    """Counts all-gathers, whichever of torch's names they go by."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "allgather" in str(func).replace("_", "")
        return func(*args, **(kwargs or {}))


def whole(parameter: torch.Tensor) -> torch.Tensor:
    """Return the parameter on every rank."""
    return parameter.full_tensor() if isinstance(parameter, DTensor) else parameter


def local(tensor: torch.Tensor) -> torch.Tensor:
    """Return what this rank holds."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def learn(make: Any, batch_size: int, **options: Any) -> dict[str, Any]:
    """Take two steps; return final weights and the metrics of both."""
    module, metrics = run(make(), TinyData(batch_size=batch_size), **{"max_steps": 2, "devices": 1, **options})
    trained = torch.cat([whole(p.detach()).flatten() for p in module.parameters() if p.requires_grad])
    return {"weights": trained, "metrics": metrics}


def blocks_again() -> Any:
    """Return the method whose blocks run again in the backward pass."""
    module = METHODS["QStar"]()
    module.gradient_checkpointing = True
    return module


def blocks_compiled() -> Any:
    """Return the method whose blocks are compiled."""
    module = METHODS["QStar"]()
    module.backend = "aot_eager"
    return module


def through_an_engine() -> Any:
    """Return the method whose answers a copy of the policy draws."""
    module = METHODS["QStar"]()
    module.sampler = EngineSampler(law=module.sampler.law, max_new_tokens=module.sampler.max_new_tokens)
    return module


class Off(LocalCopy):
    """An engine whose log-probabilities are off by what each token says."""

    def generate(self, job: Job) -> Generated:
        drawn = super().generate(job)
        return replace(drawn, logprobs=torch.where(drawn.mask, drawn.logprobs - (drawn.token_ids % 7) / 10, 0.0))


@dataclass(frozen=True)
class OffEngine(LocalEngine):
    """Starts it."""

    def start(self, policy: Any, target: Any, law: Any, longest: int) -> Off:
        copy = super().start(policy, target, law, longest)
        return Off(copy.policy, target, law)


def through_one_that_is_off() -> Any:
    """Return the method whose answers come from an engine that is not as exact as it should be."""
    module = through_an_engine()
    module.sampler = replace(module.sampler, engine=OffEngine())
    return module


def bytes_held(**options: Any) -> int:
    """Return the bytes of parameters and of Adam's state that this rank holds after a step."""
    module = METHODS["QStar"]()
    module.optimizer = torch.optim.AdamW
    run(module, TinyData(batch_size=4), **{"max_steps": 1, "devices": 1, **options})
    state = module.trainer.optimizers[0].state
    tensors = [*module.parameters(), *(v for values in state.values() for v in values.values())]
    return sum(local(t).untyped_storage().nbytes() for t in tensors if isinstance(t, torch.Tensor))


def gathers_of_a_rollout(max_new_tokens: int, strategy: FSDP2Strategy) -> dict[str, Any]:
    """Draw once, and return the all-gathers of it, with what must be as before."""
    module = METHODS["QStar"]()
    module.sampler = replace(module.sampler, max_new_tokens=max_new_tokens)
    seen: dict[str, Any] = {}

    class Count(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            held = [local(p).clone() for p in pl_module.parameters()]
            random, modes = torch.get_rng_state(), [m.training for m in pl_module.modules()]
            with Gathers() as counter:
                rollout = pl_module.draw(batch)
            seen["gathers"] = counter.count
            seen["tokens"] = int(rollout.completion_mask.sum(-1).max())
            seen["lengths"] = rollout.completion_mask.sum(-1).tolist()
            seen["sharded"] = all(isinstance(p, DTensor) for p in pl_module.parameters())
            seen["same_weights"] = all(map(torch.equal, held, (local(p) for p in pl_module.parameters())))
            seen["same_random_state"] = torch.equal(random, torch.get_rng_state())
            seen["same_modes"] = modes == [m.training for m in pl_module.modules()]

    run(module, TinyData(batch_size=4), max_steps=1, devices=2, strategy=strategy, more_callbacks=[Count()])
    return seen


def read_by_rank_zero() -> dict[str, Any]:
    """Load the embedded expert sharded; tell whether this rank read its file, and whether all weights arrived."""
    import transformers

    read: list[str] = []
    original = transformers.AutoModelForCausalLM.from_pretrained

    def noted(path: str, **options: Any) -> Any:
        read.append(path)
        return original(path, **options)

    transformers.AutoModelForCausalLM.from_pretrained = noted
    mesh = init_device_mesh("cpu", (2,))
    with placing(ShardedPlacement(Sharding(), mesh, torch.device("cpu"))):
        placed = Pretrained("tiny/expert").load()
    seen = {"read": bool(read)}
    transformers.AutoModelForCausalLM.from_pretrained = original
    expected = Pretrained("tiny/expert").load().state_dict()
    got = {key: whole(value) for key, value in placed.state_dict().items()}
    seen["same"] = got.keys() == expected.keys() and all(torch.equal(got[key], expected[key]) for key in expected)
    return seen


def adapted() -> Any:
    """Return QStar with adapters, or without where peft is not installed."""
    module = METHODS["QStar"]()
    if find_spec("peft"):
        module.policy_source = LoRA(module.policy_source, rank=4)
    return module


def beside(folder: Path) -> Any:
    """Return it with a target on the policy's base, with adapters of its own; what is drawn costs one pass a token."""
    module = adapted()
    if find_spec("peft"):
        expert = LoRA(ending_model(1), rank=3).load()
        for name, weight in expert.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(7))
        own = folder / f"expert{os.getpid()}"
        write_adapter(expert, ending_model(1).tokenizer(), own, "base")
        module.target = Expert(PolicyBase(str(own)))
    return module


def learn_beside(folder: Path, batch_size: int, **options: Any) -> dict[str, Any]:
    """Take two steps beside such a target, and tell how both were decoded."""
    made: list[Any] = []

    def make() -> Any:
        made.append(beside(folder))
        return made[0]

    found = learn(make, batch_size, **options)
    return {**found, "how": type(stacked(made[0].policy_tokens, made[0].target.tokens)).__name__}


class Faster(Callback):
    """Raises the learning rate from the third step on."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 2:
            for group in trainer.optimizers[0].param_groups:
                group["lr"] = 1e-2


def short_window(batch_size: int, **options: Any) -> dict[str, Any]:
    """Train on 28 rows, in windows of three batches and of the one that is left."""
    return learn(METHODS["SFT"], batch_size, accumulate_grad_batches=3, **options)


def lagged(folder: Path, optimizer: type[torch.optim.Optimizer], batch_size: int, **options: Any) -> list[torch.Tensor]:
    """Return the reference that has followed the policy for three steps, at once and with a checkpoint after two.

    The third step has a rate of its own: put into the optimizer by hand, and asked for by the run that goes on.
    """
    path = str(folder / f"{optimizer.__name__}{options.get('devices', 1)}.ckpt")
    references = []
    for steps, resumed in ((3, None), (2, None), (3, path)):
        module = METHODS["QStar"]()
        module.optimizer = partial(optimizer, lr=1e-3 if resumed is None else 1e-2)
        follow = LaggedReference(every_n_steps=1, decay=0.5)
        settings = {"devices": 1, **options, "max_steps": steps, "ckpt_path": resumed}
        run(
            module,
            TinyData(batch_size=batch_size),
            more_callbacks=[follow] if resumed else [follow, Faster()],
            **settings,
        )
        if steps == 2:
            module.trainer.save_checkpoint(path)
        else:
            references.append(torch.cat([whole(p.detach()).flatten() for p in module.reference.parameters()]))
    return references


def main() -> None:
    folder, world = Path(sys.argv[1]), int(sys.argv[2])
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    results: dict[str, Any] = {}
    makers = {**METHODS, "PPO": lambda: ppo(2)}
    if world == 1:
        results = {name: learn(make, 8) for name, make in makers.items()}
        results["bytes"] = bytes_held()
        results["off"] = learn(through_one_that_is_off, 8)
        results["lora"] = learn(adapted, 8, **MEASURED)
        if find_spec("peft"):
            results["beside"] = learn_beside(folder, 8)
        results["clipped"] = learn(METHODS["QStar"], 8, gradient_clip_val=0.1)
        results["short"] = {"one": short_window(8)}
        results["lagged"] = {name: lagged(folder, optimizer, 8) for name, optimizer in OPTIMIZERS.items()}
    else:
        # The ranks meet in a file: a port that was free a moment ago may not be so any more.
        torch.distributed.init_process_group("gloo", (folder / "meeting").as_uri(), rank=rank, world_size=2)
        two: dict[str, Any] = {"devices": 2}
        results = {name: learn(make, 4, strategy=FSDP2Strategy(), **two) for name, make in makers.items()}
        streamed = FSDP2Strategy(gathering="streamed")
        plain = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1)
        again = {"streamed": streamed, "lightning": plain, "registered": "fsdp2"}
        results["again"] = {
            name: learn(METHODS["QStar"], 4, strategy=strategy, **two) for name, strategy in again.items()
        }
        checkpointed = FSDP2Strategy(Sharding(activation_checkpointing=True, reshard_after_forward=False))
        results["again"]["checkpointed"] = learn(METHODS["QStar"], 4, strategy=checkpointed, **two)
        results["again"]["blocks again"] = learn(blocks_again, 4, strategy=FSDP2Strategy(), **two)
        both = FSDP2Strategy(Sharding(activation_checkpointing=True))
        results["again"]["blocks compiled"] = learn(blocks_compiled, 4, strategy=both, **two)
        results["again"]["engine"] = learn(through_an_engine, 4, strategy=FSDP2Strategy(), **two)
        results["off"] = learn(through_one_that_is_off, 4, strategy=FSDP2Strategy(), **two)
        offloaded = FSDP2Strategy(Sharding(cpu_offload=True))
        results["again"]["offloaded"] = learn(METHODS["QStar"], 4, strategy=offloaded, **two)
        half = Sharding(param_dtype="bfloat16")
        results["half"] = {
            name: learn(makers[name], 4, strategy=FSDP2Strategy(half), **two) for name in ("DPO", "PPO", "QStar")
        }
        results["lora"] = learn(adapted, 4, strategy=FSDP2Strategy(), **two, **MEASURED)
        if find_spec("peft"):
            ways = {"gathered": FSDP2Strategy(), "streamed": FSDP2Strategy(gathering="streamed")}
            results["beside"] = {
                name: learn_beside(folder, 4, strategy=strategy, **two) for name, strategy in ways.items()
            }
        results["clipped"] = learn(METHODS["QStar"], 4, strategy=FSDP2Strategy(), gradient_clip_val=0.1, **two)
        results["lagged"] = {
            name: lagged(folder, optimizer, 4, strategy="fsdp2", **two) for name, optimizer in OPTIMIZERS.items()
        }
        results["short"] = {
            name: short_window(4, strategy=strategy, **two) for name, strategy in (("fsdp2", "fsdp2"), ("ddp", "ddp"))
        }
        results["pretrained"] = read_by_rank_zero()
        results["bytes"] = bytes_held(strategy=FSDP2Strategy(), devices=2)
        results["gathered"] = [gathers_of_a_rollout(tokens, FSDP2Strategy()) for tokens in (3, 40)]
        results["streamed"] = [gathers_of_a_rollout(tokens, FSDP2Strategy(gathering="streamed")) for tokens in (3, 40)]
    torch.save(results, folder / f"world{world}rank{rank}.pt")


if __name__ == "__main__":
    main()
