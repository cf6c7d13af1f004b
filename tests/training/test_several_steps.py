"""Two real processes over gloo: PPO learns what one process learns from the same prompts."""

import pytest
import torch
from reference.ranks import finish, start
from reference.two_ranks_ppo import learn


def test_two_ranks_learn_what_one_does(tmp_path):
    """Whitening, token counts and the KL controller's divergence are those of all ranks together."""
    output = tmp_path / "learned.pt"
    finish([start("two_ranks_ppo.py", str(output), rank=rank) for rank in range(2)], limit_s=120)
    two, one = torch.load(output, weights_only=True), learn(batch_size=8, micro_batch_size=24)
    assert (one["answers"], two["answers"]) == ([24] * 3, [12] * 3)
    assert two["kl_coefficient"] == pytest.approx(one["kl_coefficient"], rel=1e-5)
    assert one["kl_coefficient"] != pytest.approx(0.05, rel=1e-2)
    other = learn(batch_size=4, micro_batch_size=24)["weights"]
    distance = (two["weights"] - one["weights"]).norm()
    assert distance < 1e-3 * (other - one["weights"]).norm()
