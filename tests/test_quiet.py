"""What is silenced, and what is not."""

import logging
import warnings

import pytest
from lightning.pytorch.utilities import rank_zero_info

from qstar_pl.quiet import quieten, quieten_commands


def test_adverts_are_off_in_python_and_what_may_be_a_problem_is_not(caplog: pytest.LogCaptureFixture) -> None:
    quieten()
    with caplog.at_level(logging.INFO), warnings.catch_warnings(record=True) as seen:
        warnings.resetwarnings()
        quieten()
        for text in ("try installing [litmodels]", "GPU available: False, used: False", "anything else"):
            rank_zero_info(text)
        for text in ("Found 3 module(s) in eval mode at", "Checkpoint directory a exists and is not empty.", "loss"):
            warnings.warn(text, stacklevel=1)
    assert caplog.messages == ["anything else"]
    assert [str(one.message) for one in seen] == ["Checkpoint directory a exists and is not empty.", "loss"]


def test_commands_hide_what_they_say_themselves(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    before = list(log.filters)
    try:
        with caplog.at_level(logging.INFO), warnings.catch_warnings(record=True) as seen:
            warnings.resetwarnings()
            quieten_commands()
            quieten_commands()
            rank_zero_info("Restoring states from the checkpoint path at a")
            rank_zero_info("Using bfloat16 Automatic Mixed Precision (AMP)")
            warnings.warn("Checkpoint directory a exists and is not empty.", stacklevel=1)
            for text in (
                "\nDetected KeyboardInterrupt, attempting",
                "`Trainer(limit_val_batches=1)` was configured so 1",
            ):
                rank_zero_info(text)
            warnings.warn("Total length of `list` across ranks is zero. Please make sure", stacklevel=1)
        assert caplog.messages == ["Using bfloat16 Automatic Mixed Precision (AMP)"]
        assert not seen
        assert len({id(one) for one in log.filters}) <= len(before) + 2, "a second call adds nothing"
    finally:
        log.filters[:] = before


def test_a_token_that_is_also_the_pad_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    quieten()
    log = logging.getLogger("transformers.modeling_utils")
    log.addHandler(caplog.handler)  # transformers does not pass its messages on
    try:
        log.warning("We strongly recommend passing in an `attention_mask` since your input_ids may be padded.")
        log.warning("Some weights were not used")
    finally:
        log.removeHandler(caplog.handler)
    assert set(caplog.messages) == {"Some weights were not used"}
