"""`qstar configs`."""

from collections.abc import Callable
from pathlib import Path

from qstar_pl.cli import shipped

Qstar = Callable[..., tuple[int, str, str]]


def test_every_configuration_is_listed_with_what_it_is(qstar: Qstar):
    code, out, _ = qstar("configs")
    *lines, last = [line for line in out.splitlines() if line]
    assert code == 0
    assert "qstar experiment" in last
    _, experiments, _ = qstar("configs", "experiments")
    lines += experiments.splitlines()
    assert sorted(line.split()[0] for line in lines) == shipped.names()
    assert not [line for line in out.splitlines() if line.startswith("experiments/")]
    assert all(len(line.split()) > 2 for line in lines), "each file begins with a comment that says what it is"
    code, out, _ = qstar("configs", "trainer")
    assert {line.split("/")[0] for line in out.splitlines()} == {"trainer"}


def test_one_is_printed(qstar: Qstar):
    code, out, _ = qstar("configs", "experiment/tiny_dpo")
    assert (code, out) == (0, (shipped.FOLDER / "experiment" / "tiny_dpo.yaml").read_text())
    code, _, err = qstar("configs", "experiment/tiny_dpoo")
    assert code == 2
    assert "did you mean experiment/tiny_dpo?" in err


def test_a_copy_refers_to_itself_and_never_overwrites(qstar: Qstar):
    assert qstar("configs", "--copy", "mine")[0] == 0
    adamw = Path("mine/data/tiny_8.yaml")
    adamw.write_text(adamw.read_text().replace("batch_size: 8", "batch_size: 3"))
    code, out, err = qstar("fit", "--config", "mine/experiment/tiny_ppo.yaml", "--print_config")
    assert code == 0, err
    assert "batch_size: 3" in out
    code, _, err = qstar("configs", "--copy", "mine")
    assert (code, err) == (2, "error: copy must name a folder that does not exist yet, got mine\n")
