"""Loggers that are named without a folder."""

import pytest

from qstar_pl.cli.layers.logger_folders import with_folders


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("fit --trainer.logger=TensorBoardLogger --name a", "fit --trainer.logger=TensorBoardLogger {} --name a"),
        ("fit --trainer.logger a.b.CSVLogger", "fit --trainer.logger a.b.CSVLogger {}"),
        ("fit --trainer.logger=CSVLogger --trainer.logger.save_dir=x", None),
        ("fit --trainer.logger=WandbLogger", None),
        ("fit --trainer.logger=logger/tensorboard --trainer.logger=true", None),
        (
            "fit --trainer.logger=CSVLogger --trainer.logger+=TensorBoardLogger --trainer.logger.save_dir x",
            "fit --trainer.logger=CSVLogger {} --trainer.logger+=TensorBoardLogger --trainer.logger.save_dir x",
        ),
    ],
)
def test_a_folder_is_added_where_none_is_given(line: str, expected: str | None) -> None:
    wanted = (expected or line).format("--trainer.logger.save_dir=study")
    assert with_folders(line.split(), "study") == wanted.split()
