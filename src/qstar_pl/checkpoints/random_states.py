"""The random states of all processes, so that a resumed run draws what the uninterrupted one would have."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import distributed

from qstar_pl.errors import UserError

KEY = "qstar_random_states"


def random_states() -> list[dict[str, Any]]:
    """Return the states of each process's generators, by rank; every process must call it.

    Tensors, numbers, texts and containers only, so that torch.load(weights_only=True) reads them.
    """
    own = _own()
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return [own]
    states: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(states, own)
    return states


def restore_random_states(states: list[dict[str, Any]], rank: int, world_size: int) -> None:
    """Put the generators back; with another number of processes they start anew, and a warning says so."""
    if len(states) != world_size:
        rank_zero_warn(
            f"The checkpoint was written by {len(states)} processes and is continued by {world_size}: the order of the "
            "data goes on where it was, in batches of the new size; dropout's random numbers start anew; and sums over "
            "other parts round differently, so metrics will differ in their last digits."
        )
        return
    try:
        _restore(states[rank])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise UserError(f"ckpt_path must hold random states as this project writes them: {error!r}") from error


def _restore(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))  # it refuses a list
    numbers_of_numpy = {**state["numpy"], "state": {**state["numpy"]["state"]}}
    numbers_of_numpy["state"]["key"] = numbers_of_numpy["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state(numbers_of_numpy)  # noqa: NPY002 (the global one is what libraries draw from)
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"][0])


def _own() -> dict[str, Any]:
    version, numbers, gauss = random.getstate()
    # weights_only knows no NumPy arrays: the generator's words go as a tensor of int64, its scalars as plain numbers.
    of_numpy: Any = np.random.get_state(legacy=False)  # noqa: NPY002
    state = {"key": torch.from_numpy(of_numpy["state"]["key"].astype(np.int64)), "pos": int(of_numpy["state"]["pos"])}
    plain = {"has_gauss": int(of_numpy["has_gauss"]), "gauss": float(of_numpy["gauss"])}
    return {
        "torch": torch.get_rng_state(),
        "python": [version, list(numbers), gauss],
        "numpy": {**of_numpy, **plain, "state": state},
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }
