import subprocess
import sys
from pathlib import Path

import pytest

from qstar_pl.run_folders.defaults import defaults_of, differing, shown

INIT = """
if TYPE_CHECKING:
    from .thing import *
raise RuntimeError("imported")
"""
SOURCE = """
from dataclasses import dataclass
from .inner import Part as Renamed, LIMIT

SIZES: tuple = (1, 2)

@dataclass
class Base:
    size: int = LIMIT
    must: str

class Thing(Base):
    def __init__(
        self, part=Renamed(3, b=4), many=[*SIZES, 3], made=len("ab"), other=lazy_instance(Renamed), *, last="x", **more
    ):
        pass
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "defaults_read" / "inner").mkdir(parents=True)
    (tmp_path / "defaults_read" / "__init__.py").write_text(
        "from .thing import Thing\nraise RuntimeError('imported')\n"
    )
    (tmp_path / "defaults_read" / "thing.py").write_text(SOURCE)
    (tmp_path / "defaults_read" / "inner" / "__init__.py").write_text(
        "from .part import *\nfrom .part import Part, LIMIT\n"
    )
    (tmp_path / "defaults_read" / "inner" / "part.py").write_text(
        "LIMIT = 7\nclass Part:\n    a: int = 1\n    b: int = 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "defaults_read.Thing"


def part(**arguments: object) -> dict[str, object]:
    return {"class_path": "defaults_read.inner.Part", "init_args": arguments}


def test_defaults_are_read_and_not_run(package: str) -> None:
    found = defaults_of(package)
    assert set(found) == {"part", "many", "other", "last", "size"}  # `made` would have to be run, `must` has none
    assert found["part"]["init_args"] == {"a": 3, "b": 4}
    assert (found["many"], found["last"], found["size"]) == ([1, 2, 3], "x", 7)


def test_what_differs(package: str) -> None:
    usual = {"part": part(a=3, b=4), "many": [1, 2, 3], "other": part(a=1, b=2), "last": "x", "size": 7}
    assert differing({"class_path": package, "init_args": usual}) == {}
    changed = {"part": part(a=3, b=5), "many": [1, 2], "other": None, "last": "y", "made": 2}
    spec = {"class_path": package, "init_args": {**usual, **changed}}
    assert set(differing(spec)) == set(changed)
    assert shown(spec) == "Thing(part=Part(a=3, b=5), many=[1, 2], other=null, last=y, made=2)"


@pytest.mark.parametrize("path", ["", "nowhere.to.be.Found", "defaults_read", "os.path.Gone", "a..b"])
def test_of_what_is_not_found_nothing_is_known(path: str) -> None:
    assert defaults_of(path) == {}
    assert differing({"class_path": path, "init_args": {"a": 1}}) == {"a": 1}


def test_of_this_package_and_of_torch_without_importing_them() -> None:
    code = """
import sys
from qstar_pl.run_folders.defaults import defaults_of, shown
assert defaults_of("qstar_pl.data.RLHFDataModule")["val_fraction"] == 0.05
source = {"class_path": "qstar_pl.models.Pretrained", "init_args": {"name": "x", "dropout": 0.0}}
assert shown(source) == "Pretrained(name=x)"
assert defaults_of("qstar_pl.methods.DPO")["optimizer"]["class_path"] == "torch.optim.AdamW"
assert defaults_of("torch.optim.AdamW")["betas"] == [0.9, 0.999]
assert defaults_of("lightning.pytorch.Trainer")["accumulate_grad_batches"] == 1
sampler = {"class_path": "qstar_pl.samplers.GeometricSampler", "init_args": {"temperature": 1.0}}
method = {"class_path": "qstar_pl.methods.QStar", "init_args": {"sampler": sampler, "kl_coefficient": 1}}
assert shown(method) == "QStar(kl_coefficient=1)"
assert not {"torch", "lightning"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
