import pytest
import torch
from reference.tiny_methods import LengthReward, small_model

from qstar_pl.methods import DPO, QStar
from qstar_pl.models import LoRA, OwnCopy, PolicyBase
from qstar_pl.planning.cluster import Cluster
from qstar_pl.planning.configured import models_of
from qstar_pl.planning.memory import Run, plan_memory
from qstar_pl.planning.plan import Plan
from qstar_pl.planning.printing import lines
from qstar_pl.planning.speed import plan_speed
from qstar_pl.planning.workload import Workload
from qstar_pl.samplers import EngineSampler
from qstar_pl.samplers.engines import LocalEngine, VLLMEngine, VLLMServer
from qstar_pl.targets import Expert


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


def test_a_target_on_the_policys_base_counts_once_and_has_a_cache_of_its_own() -> None:
    pytest.importorskip("peft", reason="peft is part of the extra lora")
    policy, base = LoRA(small_model(1), rank=2), small_model(1)
    drawing = {"policy": policy, "reward": LengthReward(), "gold": None}
    same, named, apart = (
        models_of(QStar(**drawing, target=Expert(source))) for source in (base, PolicyBase(), small_model(2))
    )
    run, work = Run(1, None, torch.float32, True, 8.0), Workload(8, 8, 1, 20, 12)
    one, again, two = (plan_memory(models, run, work) for models in (same, named, apart))
    assert one == again
    assert two["always"].pop("target") == pytest.approx(one["always"]["policy"], rel=0.01)
    assert one == two
    plans = [Plan(models, run, work, Cluster(gpus=1)) for models in (same, apart)]
    said = ["one base is counted" in "\n".join(lines(plan, None, (), ())) for plan in plans]
    assert said == [True, False]
    # Weights are read once for both, and computed with twice.
    assert plans[0].speed.phases["sampling"] <= plans[1].speed.phases["sampling"]


RUN, WORK = Run(1, None, torch.float32, True, 8.0), Workload(8, 8, 1, 20, 12)


def memory_of(**options: object) -> dict[str, dict[str, float]]:
    module = QStar(reward=LengthReward(), gold=None, **{"policy": small_model(1), **options})
    return plan_memory(models_of(module, 1e9), RUN, WORK)


def test_answers_drawn_ahead_need_a_second_policy_its_weights_for_each_batch_and_drawing_beside_learning() -> None:
    plain, ahead = memory_of(), memory_of(max_staleness=2)
    policy = plain["always"]["policy"]
    assert ahead["always"].pop("second policy") == policy
    assert ahead["always"].pop("waiting weights") == 3 * policy
    drawing = {name: ahead["always"].pop(f"{name}, drawing ahead") for name in plain["sampling"]}
    assert drawing == plain.pop("sampling")
    assert ahead == plain


def test_of_a_policy_with_adapters_only_these_wait() -> None:
    pytest.importorskip("peft", reason="peft is part of the extra lora")
    ahead = memory_of(policy=LoRA(small_model(1), rank=2), max_staleness=1)["always"]
    assert ahead["second policy"] == ahead["gradients"] < 0.1 * ahead["policy"]
    assert ahead["waiting weights"] == 2 * ahead["gradients"]


@pytest.mark.parametrize("adapted", [False, True])
def test_an_engine_holds_whole_weights_of_its_own(adapted: bool) -> None:
    if adapted:
        pytest.importorskip("peft", reason="peft is part of the extra lora")
    whole = memory_of()["always"]["policy"]
    policy = LoRA(small_model(1), rank=2) if adapted else small_model(1)
    engines = [LocalEngine(), LocalEngine(precision="bfloat16"), VLLMEngine(memory_fraction=0.2), VLLMServer()]
    found = [memory_of(policy=policy, sampler=EngineSampler(engine=one))["always"].get("engine", 0) for one in engines]
    assert found == pytest.approx([whole, whole / 2, 2e8, 0])
