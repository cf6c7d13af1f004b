"""What is proposed for a run that does not fit really needs less."""

from dataclasses import replace

import pytest
import torch

from qstar_pl.distributed import Sharding
from qstar_pl.models import FromConfig
from qstar_pl.models.placement import placing
from qstar_pl.planning.cluster import Cluster
from qstar_pl.planning.configured import _Hollow
from qstar_pl.planning.memory import GIB, Models, Run
from qstar_pl.planning.plan import Plan
from qstar_pl.planning.printing import duration, lines, size
from qstar_pl.planning.remedies import (
    Adapters,
    Checkpointing,
    MicroBatches,
    MoreShards,
    SmallerBatch,
    Streamed,
    remedies,
)
from qstar_pl.planning.workload import Workload

SIZES = {"n_embd": 256, "n_layer": 4, "n_head": 4, "n_positions": 128, "vocab_size": 640}


@pytest.fixture(scope="module")
def plan() -> Plan:
    with placing(_Hollow()):
        policy, target = (FromConfig("gpt2", SIZES).load() for _ in range(2))
    models = Models(policy, {"target": target.requires_grad_(False)}, ("target",))
    work = Workload(drawn=32, learned=32, passes=1, prompt=40, answer=24)
    return Plan(models, Run(1, None, torch.float32, True, 8.0), work, Cluster(gpus=1))


def short_of(plan: Plan, share: float) -> Plan:
    """The plan on a GPU that has so much of what it needs."""
    memory = plan.peak[1] / GIB * share
    return replace(plan, cluster=replace(plan.cluster, memory_gib=memory))


def test_smaller_batches_are_halved_until_they_fit_and_learn_the_same(plan: Plan) -> None:
    tight = short_of(plan, 0.7)
    assert (tight.verdict, plan.verdict) == ("does not fit", "fits")
    changed = SmallerBatch(8).of(tight)
    assert changed is not None
    assert changed.plan.fits
    assert changed.plan.work.drawn * changed.plan.accumulate == 32
    rows = changed.plan.work.drawn // 4
    assert changed.words == (f"--data.batch_size={rows}", f"--trainer.accumulate_grad_batches={8 // rows}")
    assert SmallerBatch(1).of(tight) is None
    micro = MicroBatches().of(tight)
    assert micro is not None
    assert micro.plan.work.learned * micro.plan.work.passes == 32
    assert micro.plan.peak[1] < tight.peak[1]


def test_more_gpus_shards_checkpoints_and_adapters(plan: Plan) -> None:
    tight = short_of(plan, 0.9)
    more = MoreShards().of(tight)
    assert more is not None
    assert more.words[:2] == ("--nodes=1", f"--gpus={more.plan.run.ranks}")
    assert more.plan.run.ranks in (2, 4, 8)
    assert more.plan.peak[1] < tight.peak[1]
    for plain in (tight, replace(tight, run=replace(tight.run, sharding=Sharding()))):
        again = Checkpointing().of(plain)
        assert again is not None
        assert again.plan.peak[1] < plain.peak[1]
        assert Checkpointing().of(again.plan) is None
    sharding = Sharding(activation_checkpointing=True)
    assert Checkpointing().of(replace(tight, run=replace(tight.run, sharding=sharding))) is None
    adapted = Adapters().of(tight)
    assert adapted is not None
    assert adapted.plan.phases["always"]["optimizer state"] < tight.phases["always"]["optimizer state"] / 10
    assert Adapters().of(adapted.plan) is None
    beside = replace(tight.models, frozen={**tight.models.frozen, "reference": tight.models.policy})
    shared = Adapters().of(replace(tight, models=beside))
    assert shared is not None
    assert "reference" not in shared.plan.phases["always"]  # π_init is then the policy without its adapters


def test_streaming_does_not_undo_the_options_of_the_strategy(plan: Plan) -> None:
    sharded = replace(plan, run=replace(plan.run, sharding=Sharding()))
    for remedy, words in ((Streamed(), ()), (Streamed(named=False), ("--trainer.strategy=FSDP2Strategy",))):
        changed = remedy.of(sharded)
        assert changed is not None
        assert changed.words == (*words, "--trainer.strategy.gathering=streamed")
        assert not changed.plan.run.gathered
    assert Streamed().of(plan) is None


def test_each_kind_once_what_fits_first_else_together(plan: Plan) -> None:
    found = remedies(short_of(plan, 0.8), SmallerBatch(8))
    assert found[0].plan.fits
    assert all(one.plan.peak[1] < plan.peak[1] for one in found)
    found = remedies(short_of(plan, 0.12), SmallerBatch(8))
    assert [one.plan.fits for one in found] == [False] * (len(found) - 1) + [True]
    assert len(found[-1].words) > 2


def test_lines_fit_a_screen(plan: Plan) -> None:
    tight = short_of(plan, 0.12)
    text = list(lines(tight, 100, remedies(tight, SmallerBatch(8)), ["model.reward: x.ckpt " + "is not there " * 9]))
    assert max(map(len, text)) <= 80
    said = "\n".join(text)
    assert "1 machine with 1 × A100-80GB" in said
    assert "does not fit" in said
    assert "memory of the process" in said
    assert "100 steps: " in said
    hopeless = short_of(plan, 1e-6)
    assert "nor all together" in "\n".join(lines(hopeless, None, remedies(hopeless, SmallerBatch(8)), []))


def test_units() -> None:
    assert [size(n) for n in (0, 2048, 3 * 2**20, 1000 * 2**20, 2.5 * GIB, 5000 * GIB)] == [
        "0 KiB", "2 KiB", "3 MiB", "0.977 GiB", "2.5 GiB", "5,000 GiB",
    ]  # fmt: skip
    assert duration(0.9999) == "1000 ms"
    assert [duration(s) for s in (0.0123, 12, 600, 36_000, 1e6)] == ["12.3 ms", "12 s", "10 min", "10 h", "11.6 days"]
