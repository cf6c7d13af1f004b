"""When an engine is started, and when weights are pushed."""

import pytest
import torch
from reference.tiny_models import random_model

from qstar_pl.models import LanguageModel
from qstar_pl.qstar import KLSymmetricAlpha
from qstar_pl.rollout import POLICY, Alone, Geometric
from qstar_pl.samplers.engines import LocalEngine
from qstar_pl.samplers.engines.keeper import Keeper

ALONE, MIXED = Alone(POLICY), Geometric(KLSymmetricAlpha())


@pytest.fixture
def policy() -> LanguageModel:
    return LanguageModel(random_model().float())


def test_it_is_started_anew_for_other_models_and_longer_answers(policy: LanguageModel) -> None:
    keeper, engine, other = Keeper(), LocalEngine(), LanguageModel(random_model("llama").float())
    running = keeper.running(engine, policy, other, ALONE, 8)
    # A wrapper is made for every draw, shorter answers fit, and a law without π_t does not care which it is.
    assert keeper.running(engine, LanguageModel(policy.model), policy, ALONE, 7) is running
    for arguments in ((policy, other, ALONE, 9), (policy, other, MIXED, 9), (other, other, MIXED, 9)):
        again = keeper.running(engine, *arguments)
        assert again is not running
        running = again
    keeper.stop()
    keeper.stop()
    assert keeper.running(engine, *arguments) is not running


def test_weights_are_pushed_when_they_have_changed(policy: LanguageModel) -> None:
    keeper = Keeper()
    running = keeper.running(LocalEngine(), policy, policy, ALONE, 8)
    found = []
    for step in (2, 3, 4):
        keeper.step = step
        if step == 4:
            with torch.no_grad():
                policy.model.lm_head.weight[5, 2] += 1e-3
        found.append((keeper.refresh(running, policy), keeper.version))
    assert [version for _, version in found] == [2, 2, 4]
    assert found[0][0] == found[1][0] != found[2][0] == running.fingerprint()
