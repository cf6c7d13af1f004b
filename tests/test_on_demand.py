"""Names that a package loads when they are asked for."""

import pytest

import qstar_pl.data
import qstar_pl.models
from qstar_pl.data.module import RLHFDataModule
from qstar_pl.models.pretrained import Pretrained


def test_names_are_those_of_the_files_they_come_from() -> None:
    assert qstar_pl.data.RLHFDataModule is RLHFDataModule
    assert qstar_pl.models.Pretrained is Pretrained


def test_names_are_listed_beside_the_light_ones() -> None:
    assert {"RLHFDataModule", "DataReport", "Auto"} <= set(dir(qstar_pl.data))
    assert {"LoRA", "FromCheckpoint", "freeze"} <= set(dir(qstar_pl.models))


@pytest.mark.parametrize("package", [qstar_pl.data, qstar_pl.models])
def test_what_is_not_there_is_an_attribute_error(package: object) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        package.Nothing  # type: ignore[attr-defined] # noqa: B018
