"""The architecture as a test: who imports whom, what stays light, and where files lie."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "qstar_pl"
# Rank of a part: it may import parts of lower rank, and its own.
RANKS = {
    **dict.fromkeys(("__init__", "types", "errors", "renamed", "files", "qstar", "sandbox"), 0),
    **dict.fromkeys(("models", "rewards", "targets", "rollout", "samplers", "data", "optim", "tiny_world"), 1),
    **dict.fromkeys(("distributed", "checkpoints", "training", "locks"), 1),
    "methods": 2,
    **dict.fromkeys(("evaluation", "experiments", "generation", "planning", "theory"), 3),
    **dict.fromkeys(("commands", "cli", "__main__"), 3),
}
# Parts of rank 1 are built from each other; of ranks 0 and 2 there is nothing to choose from.
PEERS = {1, 3}


def modules() -> list[Path]:
    # rglob does not follow the link to callbacks/, which would hide the one part whose rule is its own.
    files = [*PACKAGE.rglob("*.py"), *(PACKAGE / "callbacks").glob("*.py")]
    return sorted(set(files))


def part_of(dotted: str) -> str:
    return dotted.split(".")[1] if "." in dotted else "__init__"


def dotted_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path, *, everywhere: bool = True) -> Iterator[str]:
    """The modules a file imports; without `everywhere` only those at its top, so not what a function asks for late."""
    package = dotted_name(file) if file.name == "__init__.py" else dotted_name(file).rpartition(".")[0]
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(piece for piece in (base, node.module) if piece)
            # `from qstar_pl import callbacks` imports a part, not a name.
            yield from (f"{module}.{alias.name}" for alias in node.names) if module == "qstar_pl" else (module,)


def forbidden(file: Path) -> list[str]:
    own = part_of(dotted_name(file))
    wrong = []
    for name in imports(file):
        if not name.startswith("qstar_pl"):
            continue
        other = part_of(name)
        if other == own or name == "qstar_pl.__version__":
            continue
        if own == "callbacks":
            allowed = RANKS.get(other) == 0
        elif other == "callbacks":
            allowed = RANKS[own] == 3
        else:
            allowed = RANKS[other] < RANKS[own] or (RANKS[other] == RANKS[own] and RANKS[own] in PEERS)
            allowed = allowed or {own, other} <= {"types", "errors", "qstar"}
        if not allowed:
            wrong.append(f"{file.relative_to(REPOSITORY)} imports {name}")
    return wrong


def test_every_part_has_a_rank() -> None:
    parts = {part_of(dotted_name(file)) for file in modules()}
    assert parts - {"callbacks"} <= set(RANKS), "a new part must be placed in RANKS"


def test_import_direction() -> None:
    assert [line for file in modules() for line in forbidden(file)] == []


def test_import_direction_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "src" / "qstar_pl")
    monkeypatch.setattr(sys.modules[__name__], "REPOSITORY", tmp_path)
    file = tmp_path / "src" / "qstar_pl" / "qstar" / "solver.py"
    file.parent.mkdir(parents=True)
    file.write_text("from ..methods import QStar\nfrom qstar_pl import callbacks\nimport torch\n")
    assert [line.rpartition(" ")[2] for line in forbidden(file)] == ["qstar_pl.methods", "qstar_pl.callbacks"]


def test_mathematics_imports_torch_and_nothing_else() -> None:
    allowed = {"torch", "qstar_pl", "__future__"} | set(sys.stdlib_module_names)
    found = {(file.name, name) for file in (PACKAGE / "qstar").rglob("*.py") for name in imports(file)}
    assert {(file, name) for file, name in found if name.partition(".")[0] not in allowed} == set()


def test_the_sandbox_is_a_package_of_its_own() -> None:
    allowed = {"__future__"} | set(sys.stdlib_module_names)
    found = {(file.name, name) for file in (PACKAGE / "sandbox").glob("*.py") for name in imports(file)}
    outside = {(file, name) for file, name in found if not (name + ".").startswith("qstar_pl.sandbox.")}
    assert {(file, name) for file, name in outside if name.partition(".")[0] not in allowed} == set()


def test_callbacks_import_lightning_and_what_it_brings() -> None:
    allowed = {"torch", "lightning", "rich", "qstar_pl", "__future__"} | set(sys.stdlib_module_names)
    found = {
        (file.name, name) for file in (PACKAGE / "callbacks").glob("*.py") for name in imports(file, everywhere=False)
    }
    assert {(file, name) for file, name in found if name.partition(".")[0] not in allowed} == set()


def loaded_after(statement: str, *names: str) -> str:
    code = f"{statement}\nimport sys\nprint(sorted(set({names!r}) & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return done.stdout.strip()


def test_mathematics_is_light() -> None:
    heavy = ("transformers", "lightning", "datasets", "jsonargparse", "rich")
    assert loaded_after("import qstar_pl.qstar", *heavy) == "[]"


def test_help_is_light() -> None:
    assert loaded_after("from qstar_pl.cli import main\nmain(['--help'])", "torch", "lightning").endswith("[]")


def test_callbacks_are_a_link() -> None:
    link = PACKAGE / "callbacks"
    assert link.is_symlink()
    assert os.readlink(link) == os.path.join("..", "..", "callbacks")  # noqa: PTH115, PTH118 (the text of the link)
    assert (link / "__init__.py").samefile(REPOSITORY / "callbacks" / "__init__.py")


def test_callbacks_cannot_be_imported_by_another_name() -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    code = "import callbacks"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode != 0
    assert "import the callbacks as qstar_pl.callbacks" in done.stderr


def test_tests_mirror_the_source() -> None:
    """Every part has its folder of tests, and a test named for a module lies where the module lies."""
    tests = REPOSITORY / "tests"
    parts = {folder.name for folder in PACKAGE.iterdir() if folder.is_dir() and list(folder.glob("[a-z]*.py"))}
    assert {part for part in parts if not list((tests / part).rglob("test_*.py"))} == set()
    home: dict[str, set[Path]] = {}
    for module in modules():
        home.setdefault(module.stem, set()).add(module.parent.relative_to(PACKAGE))
    astray = []
    for file in tests.rglob("test_*.py"):
        folder, stem = file.parent.relative_to(tests), file.stem.removeprefix("test_")
        if folder.parts[:1] not in ((), ("reference",), ("invariant",)) and folder not in home.get(stem, {folder}):
            astray.append(str(file.relative_to(tests)))
        if folder.parts and folder.parts[0] not in {*parts, "reference", "invariant"}:
            astray.append(str(folder))
    assert astray == []


def test_files_fit_a_reader() -> None:
    lines = {dotted_name(file): file.read_text().count("\n") for file in modules()}
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_init_files_only_re_export() -> None:
    wrong = []
    for file in modules():
        if file.name != "__init__.py" or file.parent == PACKAGE:
            continue
        body = ast.parse(file.read_text()).body
        for node in body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            re_export = isinstance(node, ast.ImportFrom) and all(alias.asname == alias.name for alias in node.names)
            name_guard = isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
            if not (docstring or re_export or name_guard):
                wrong.append(f"{dotted_name(file)}: {ast.unparse(node).splitlines()[0]}")
    assert wrong == []
