from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from qstar_pl.errors import UserError
from qstar_pl.methods import SFT
from qstar_pl.training.resume import ExactResume

FORMER = {
    "qstar_skipped_steps",
    "qstar_answer_ends",
    "qstar_models",
    "qstar_optimizers",
    "qstar_learning_rates",
    "qstar_plateau_due",
    "qstar_random_states",
    "qstar_validation_due_after",
}
"""What a checkpoint held at its top level before the callback was there."""


def with_dropout(options: dict[str, Any]) -> SFT:
    """A method that draws random numbers in every step, under a schedule that moves in every step."""
    module = SFT(
        **{
            **options,
            "optimizer": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
            "lr_scheduler": lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5),
        }
    )
    module.configure_model()
    for part in module.policy.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.3
    return module


def weights(module: SFT) -> list[torch.Tensor]:
    return list(module.policy.state_dict().values())


@pytest.mark.parametrize("form", ["present", "former"])
def test_a_run_goes_on_to_the_bit(
    form: str,
    fit: Callable[..., Any],
    small_data: Callable[..., Any],
    policy_options: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Also from a checkpoint with the keys that the methods' own hooks wrote, and no others."""
    whole = with_dropout(policy_options)
    fit(whole, small_data(), max_steps=4)
    first = with_dropout(policy_options)
    fit(first, small_data(), max_steps=2).save_checkpoint(tmp_path / "two.ckpt")
    stored = torch.load(tmp_path / "two.ckpt", weights_only=True)
    own = {key for key in stored if key.startswith("qstar_")}
    assert own == FORMER | {"qstar_validated_step"}
    if form == "former":
        torch.save({k: v for k, v in stored.items() if k not in own - FORMER}, tmp_path / "two.ckpt")
    again = with_dropout(policy_options)
    torch.manual_seed(99)
    fit(again, small_data(), max_steps=4, ckpt_path=tmp_path / "two.ckpt")
    assert all(map(torch.equal, weights(again), weights(whole)))
    assert not all(map(torch.equal, weights(first), weights(whole)))


def test_weights_alone_are_no_run_to_go_on_with(
    fit: Callable[..., Any], small_data: Callable[..., Any], policy_options: dict[str, Any], tmp_path: Path
) -> None:
    trainer = fit(SFT(**policy_options), small_data(), max_steps=1)
    trainer.save_checkpoint(tmp_path / "weights.ckpt", weights_only=True)
    with pytest.raises(UserError, match=r"ckpt_path must hold the state of the optimizer, got .* weights alone"):
        fit(SFT(**policy_options), small_data(), max_steps=2, ckpt_path=tmp_path / "weights.ckpt")


def test_every_run_of_a_trainer_has_one(
    fit: Callable[..., Any], small_data: Callable[..., Any], policy_options: dict[str, Any], caplog: Any
) -> None:
    module = SFT(**policy_options)
    trainer = fit(module, small_data(), max_steps=1)
    trainer.validate(module, small_data(), verbose=False)
    assert [one for one in trainer.callbacks if isinstance(one, ExactResume)] == [module.resume]
    assert "will override" not in caplog.text
