import random

import numpy as np
import pytest
import torch

from qstar_pl.checkpoints.random_states import random_states, restore_random_states


def draw() -> tuple[float, float, float]:
    return float(torch.rand(())), random.random(), float(np.random.default_rng().normal() * 0 + np.random.rand())  # noqa: NPY002


def test_what_follows_is_drawn_again(tmp_path) -> None:
    np.random.standard_normal()  # noqa: NPY002 (leaves half a pair behind)
    torch.save(random_states(), tmp_path / "states.pt")
    first = draw(), np.random.standard_normal()  # noqa: NPY002
    assert draw() != first[0]
    restore_random_states(torch.load(tmp_path / "states.pt", weights_only=True), rank=0, world_size=1)
    assert (draw(), np.random.standard_normal()) == first  # noqa: NPY002


def test_another_number_of_processes_is_said(recwarn) -> None:
    before = torch.get_rng_state()
    with pytest.warns(UserWarning, match="written by 1 processes and is continued by 2: the order of the data"):
        restore_random_states(random_states(), rank=1, world_size=2)
    assert torch.equal(before, torch.get_rng_state())
