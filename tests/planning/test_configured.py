import pytest
import torch
from reference.tiny_methods import small_model

from qstar_pl.methods import DPO
from qstar_pl.models import LoRA, OwnCopy
from qstar_pl.planning.cluster import Cluster
from qstar_pl.planning.configured import models_of
from qstar_pl.planning.memory import Run, plan_memory
from qstar_pl.planning.speed import plan_speed
from qstar_pl.planning.workload import Workload


def test_a_start_that_is_the_policy_without_adapters_counts_once_and_still_computes() -> None:
    pytest.importorskip("peft", reason="peft is part of the extra lora")
    policy = LoRA(small_model(1), rank=2)
    shared, copied = (
        models_of(DPO(policy=policy, reward=None, gold=None, reference=reference)) for reference in (None, OwnCopy())
    )
    run, work = Run(1, None, torch.float32, True, 8.0), Workload(0, 8, 1, 20, 12)
    one, two = (plan_memory(models, run, work)["always"] for models in (shared, copied))
    assert two.pop("reference") == one["policy"]
    assert one == two
    times = [plan_speed(models, run, work, Cluster(gpus=1), 1).phases for models in (shared, copied)]
    assert times[0] == times[1]
    assert times[0]["scoring"] > 0
