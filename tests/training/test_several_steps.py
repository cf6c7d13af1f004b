"""Two real processes over gloo: PPO learns what one process learns from the same prompts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from reference.two_ranks_ppo import learn

SCRIPT = Path(__file__).parents[1] / "reference" / "two_ranks_ppo.py"


def test_two_ranks_learn_what_one_does(tmp_path):
    """Whitening, token counts and the KL controller's divergence are those of all ranks together."""
    output = tmp_path / "learned.pt"
    common = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "NODE_RANK": "0", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(output)],
            env={**os.environ, **common, "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    two, one = torch.load(output, weights_only=True), learn(batch_size=8, micro_batch_size=24)
    assert (one["answers"], two["answers"]) == ([24] * 3, [12] * 3)
    assert two["kl_coefficient"] == pytest.approx(one["kl_coefficient"], rel=1e-5)
    assert one["kl_coefficient"] != pytest.approx(0.05, rel=1e-2)
    other = learn(batch_size=4, micro_batch_size=24)["weights"]
    distance = (two["weights"] - one["weights"]).norm()
    assert distance < 1e-3 * (other - one["weights"]).norm()
