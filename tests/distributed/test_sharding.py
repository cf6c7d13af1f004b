"""Two real processes over gloo, FSDP2: the same training as one process, at half the memory per process."""

from typing import Any

import pytest
import torch
from reference.every_method import METHODS
from reference.ranks import finish, start

CLOCKS = ("time/", "tokens/per_s", "memory/")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sharded")
    places = [(1, 0), (2, 0), (2, 1)]
    finish([start("sharded.py", str(folder), str(world), rank=rank, world=world) for world, rank in places], 600)
    names = {"one": "world1rank0", "two": "world2rank0", "other": "world2rank1"}
    return {key: torch.load(folder / f"{name}.pt", weights_only=False) for key, name in names.items()}


OF_SEVERAL_PASSES = {"grad/variance", "grad/snr", "grad/noise_scale"}


@pytest.mark.parametrize("name", [*METHODS, "PPO"])
def test_two_times_four_rows_are_eight(results, name) -> None:
    """Ragged prompts and answers that end early; two optimizer steps (four of PPO's), in weights and all metrics."""
    one, two = results["one"][name], results["two"][name]
    assert (one["weights"] - two["weights"]).norm() < 1e-5 * one["weights"].norm()
    assert torch.equal(two["weights"], results["other"][name]["weights"])
    wanted = {key: value for key, value in one["metrics"].items() if not key.startswith(CLOCKS)}
    got = {key: value for key, value in two["metrics"].items() if not key.startswith(CLOCKS)}
    if name == "PPO":  # a rank's half of a minibatch is one backward pass, and of one there is no variance
        assert wanted.keys() - got.keys() == OF_SEVERAL_PASSES
        wanted = {key: value for key, value in wanted.items() if key not in OF_SEVERAL_PASSES}
    assert {"loss/total", "grad/norm"} <= wanted.keys()
    assert "weights/cv" in wanted or "loss/accuracy" in wanted or name == "SFT"
    assert got == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_the_norm_of_the_whole_gradient_is_clipped(results) -> None:
    weights = results["one"]["clipped"]["weights"]
    assert (weights - results["one"]["QStar"]["weights"]).norm() > 1e-3 * weights.norm()
    assert (results["two"]["clipped"]["weights"] - weights).norm() < 1e-5 * weights.norm()


@pytest.mark.parametrize("optimizer", ["with state", "without state"])
def test_a_reference_that_follows_is_sharded_and_saved_as_a_whole(results, optimizer) -> None:
    """And with it the run that it is of: an optimizer that keeps nothing per parameter is resumed with its options."""
    followed, restored = results["two"]["lagged"][optimizer]
    assert torch.equal(followed, restored)
    assert (followed - results["one"]["lagged"][optimizer][0]).norm() < 1e-5 * followed.norm()
    assert torch.equal(*results["one"]["lagged"][optimizer])


@pytest.mark.parametrize("strategy", ["fsdp2", "ddp"])
def test_a_last_window_of_one_batch_is_a_mean_over_one(results, strategy) -> None:
    one, two = results["one"]["short"]["one"], results["two"]["short"][strategy]
    assert (two["weights"] - one["weights"]).norm() < 1e-5 * one["weights"].norm()
    for key in ("grad/norm", "loss/total", "loss/nats_per_token"):
        assert two["metrics"][key] == pytest.approx(one["metrics"][key], rel=1e-5), key


def test_adapters_are_sharded_too(results) -> None:
    weights = results["one"]["lora"]["weights"]
    assert len(weights) < len(results["one"]["QStar"]["weights"])
    assert (results["two"]["lora"]["weights"] - weights).norm() < 1e-5 * weights.norm()
    # π_init is the sharded policy without its adapters, beside which answers are drawn.
    one, two = (results[run]["lora"]["metrics"] for run in ("one", "two"))
    for key in ("val/kl_policy_reference", "val/reward_proxy", "val/completion_length"):
        assert two[key] == pytest.approx(one[key], rel=1e-5, abs=1e-6), key


@pytest.mark.parametrize("how", ["gathered", "streamed"])
def test_a_target_on_the_sharded_base_of_the_policy(results, how) -> None:
    """Both are decoded in one pass for each token; the target's own adapters are whole on every process."""
    pytest.importorskip("peft", reason="peft is part of the extra lora")
    one, two = results["one"]["beside"], results["two"]["beside"][how]
    assert one["how"] == two["how"] == "Stacked"
    assert (two["weights"] - one["weights"]).norm() < 1e-5 * one["weights"].norm()
    for key in ("alpha/mean", "loss/total", "grad/norm"):
        assert two["metrics"][key] == pytest.approx(one["metrics"][key], rel=1e-5), key


@pytest.mark.parametrize(
    "how",
    ["streamed", "lightning", "registered", "checkpointed", "offloaded", "blocks again", "blocks compiled", "engine"],
)
def test_other_ways_to_shard_are_the_same_training(results, how) -> None:
    weights = results["one"]["QStar"]["weights"]
    assert (results["two"]["again"][how]["weights"] - weights).norm() < 1e-5 * weights.norm()


def test_the_mismatch_of_an_engine_is_that_of_the_answers_of_all_processes(results) -> None:
    one, two = (
        {key: value for key, value in results[run]["off"]["metrics"].items() if key.startswith("mismatch/")}
        for run in ("one", "two")
    )
    assert len(one) == 9
    # The engine says (token id mod 7)/10 nats too little of every token.
    largest = 10 * one["mismatch/logprob_max"]
    assert largest >= 1
    assert largest == pytest.approx(round(largest), abs=1e-3)
    assert 0 < one["mismatch/logprob_mean"] < one["mismatch/logprob_max"]
    assert one["mismatch/sequence_max"] > one["mismatch/sequence_mean"] > 0
    assert two == pytest.approx(one, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", ["DPO", "PPO"])
def test_half_precision_is_nearly_the_same_training(results, name) -> None:
    """Computed in bfloat16, kept in float32: not the same bits (so it was used), and not far off."""
    weights, half = results["two"][name]["weights"], results["two"]["half"][name]["weights"]
    assert half.dtype == torch.float32
    assert 0 < (half - weights).norm() < 2e-3 * weights.norm()
    assert torch.equal(half, results["other"]["half"][name]["weights"])


def test_half_precision_samples_and_learns(results) -> None:
    """Other answers come out, since probabilities differ in their third digit; the numbers must be numbers."""
    found = results["two"]["half"]["QStar"]
    assert found["weights"].isfinite().all()
    assert 0 < found["metrics"]["alpha/mean"] < 1
    assert found["metrics"]["grad/norm"] > 0


def test_weights_read_by_rank_zero_alone_are_everywhere(results) -> None:
    for rank in ("two", "other"):
        assert results[rank]["pretrained"]["same"]
        assert results[rank]["pretrained"]["read"] == (rank == "two")


def test_parameters_and_optimizer_state_are_halved(results) -> None:
    ratio = results["two"]["bytes"] / results["one"]["bytes"]
    assert 0.5 <= ratio < 0.51


def test_parameters_are_gathered_once_per_rollout(results) -> None:
    short, long = results["two"]["gathered"]
    assert long["tokens"] > 3 * short["tokens"]
    assert long["gathers"] == short["gathers"] > 0


def test_streamed_parameters_are_gathered_for_every_token(results) -> None:
    """And processes whose answers end at different lengths wait for each other without hanging."""
    short, long = results["two"]["streamed"]
    assert long["gathers"] > 3 * short["gathers"]
    assert max(results["two"]["streamed"][1]["lengths"]) != max(results["other"]["streamed"][1]["lengths"])
    assert long["lengths"] == results["two"]["gathered"][1]["lengths"]


@pytest.mark.parametrize("how", ["gathered", "streamed"])
def test_a_rollout_leaves_everything_as_it_was(results, how) -> None:
    for rank in ("two", "other"):
        for seen in results[rank][how]:
            kept = {key: seen[key] for key in ("sharded", "same_weights", "same_random_state", "same_modes")}
            assert all(kept.values()), kept
