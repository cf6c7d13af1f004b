import pytest
import torch

from qstar_pl.checkpoints.optimizers import KEY, check_has_state, check_same, names_of
from qstar_pl.errors import UserError

PARAMETERS = [torch.zeros(2, requires_grad=True)]
ADAMW, SGD = torch.optim.AdamW(PARAMETERS), torch.optim.SGD(PARAMETERS, lr=0.1)


def test_the_same_class_goes_on() -> None:
    check_same(names_of([ADAMW]), [torch.optim.AdamW(PARAMETERS, lr=7.0)])
    check_has_state({KEY: names_of([ADAMW])})


@pytest.mark.parametrize(("stored", "given"), [([ADAMW], [SGD]), ([SGD], [ADAMW]), ([SGD], [SGD, SGD])])
def test_another_class_or_number_does_not(stored, given) -> None:
    with pytest.raises(UserError, match="whose state the checkpoint holds, got"):
        check_same(names_of(stored), given)


def test_weights_alone_do_not() -> None:
    with pytest.raises(UserError, match="ckpt_path must hold the state of the optimizer"):
        check_has_state({KEY: []})


def test_checkpoints_that_do_not_say_are_left_to_lightning() -> None:
    check_has_state({})
    check_same(None, [SGD])
