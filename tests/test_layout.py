"""The architecture as a test: who imports whom, what stays light, and where files lie."""

import ast
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.append(str(REPOSITORY / "benchmarks"))

from structure import ORDER, RANKS, Module, Source, circles, rank  # noqa: E402

from qstar_pl.cli.dispatch import TRAINER_COMMANDS, commands  # noqa: E402

SOURCE = Source(REPOSITORY)
PACKAGE = SOURCE.root
CROSS_CUTTING = {
    # What a user does, over many modules.
    "cli/layers/test_chain.py",
    "cli/layers/test_odd_checkpoints.py",
    "cli/runs/test_diverging_runs.py",
    "cli/test_date.py",
    "commands/test_help.py",
    "distributed/test_command_line.py",
    "test_cookbook.py",
    "test_dev.py",
    "test_documented_commands.py",
    "test_documents.py",
    "test_layout.py",
    "test_site.py",
    "test_walkthrough.py",
    "test_wheel.py",
    # The table of a property × what has it.
    "callbacks/test_displays.py",
    "callbacks/test_loss_and_throughput.py",
    "callbacks/test_metrics_through_trainer.py",
    "callbacks/test_two_ranks.py",
    "checkpoints/test_bit_flips.py",
    "experiments/report/test_page_in_browser.py",
    "data/adapters/test_forms.py",
    "data/adapters/test_schemas.py",
    "generation/test_docs.py",
    "generation/test_stopping.py",
    "methods/test_budget.py",
    "methods/test_evaluation_sampler.py",
    "methods/test_execution_of_blocks.py",
    "models/test_families.py",
    "samplers/test_exactness.py",
    "samplers/test_speculative_exactness.py",
    "sandbox/test_awkward.py",
    "sandbox/test_datasets.py",
    "sandbox/test_elsewhere.py",
    "sandbox/test_hostile.py",
    "sandbox/test_hostile_reports.py",
    "targets/test_execution_target.py",
}
"""Tests that are not those of one module; test_plug_in… of extensions from outside need not be listed."""


def packages_of(module: Module, *, everywhere: bool = True) -> set[tuple[str, str]]:
    """(file, imported name) of what a module imports."""
    return {(module.path.name, name) for name, _ in module.imports(everywhere=everywhere)}


def in_part(*parts: str) -> list[Module]:
    return [module for module in SOURCE.modules.values() if module.part in parts]


def test_every_part_has_its_place() -> None:
    assert {module.part for module in SOURCE.modules.values()} - {""} == set(RANKS), "ORDER of benchmarks/structure.py"


def test_nothing_climbs() -> None:
    assert SOURCE.climbing() == []


def test_no_folders_need_each_other() -> None:
    assert SOURCE.folder_circles() == []


def test_no_class_has_more_than_three_of_our_own_above_it() -> None:
    assert len(SOURCE.longest_chain()) <= 4


def test_callbacks_need_the_mathematics_alone_and_nothing_that_trains_needs_them() -> None:
    needed = {(one.name, other) for one in in_part("callbacks") for other in SOURCE.own_imports(one)}
    allowed = {"callbacks", *ORDER[0]}
    assert {(name, other) for name, other in needed if other.split(".")[1] not in allowed} == set()
    modules = [one for one in SOURCE.modules.values() if one.part != "callbacks" and rank(one.part) <= rank("methods")]
    pairs = {(one.name, other) for one in modules for other in SOURCE.own_imports(one)}
    assert {(name, other) for name, other in pairs if other.startswith("qstar_pl.callbacks")} == set()


def test_climbing_and_circles_are_seen(tmp_path: Path) -> None:
    package = tmp_path / "src" / "qstar_pl"
    files = {
        "__init__.py": "",
        "qstar/__init__.py": "",
        "qstar/solver.py": "def solve():\n    from ..methods import QStar\nfrom qstar_pl import errors\nimport torch\n",
        "methods/__init__.py": "from qstar_pl.methods.q_star import QStar as QStar\n",
        "methods/q_star.py": "from qstar_pl.data import Data\n\n\nclass QStar(Data):\n    pass\n",
        "data/__init__.py": "from qstar_pl.data.module import Data as Data\n",
        "data/module.py": "import qstar_pl.targets.expert\n\n\nclass Data:\n    pass\n",
        "targets/__init__.py": "",
        "targets/expert.py": "from qstar_pl.data.module import Data\n",
        "errors.py": "",
    }
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    source = Source(tmp_path)
    assert source.climbing() == [("qstar_pl.qstar.solver", "qstar_pl.methods.q_star")]
    assert source.folder_circles() == [["qstar_pl.data", "qstar_pl.targets"]]
    assert source.longest_chain() == ["qstar_pl.methods.q_star.QStar", "qstar_pl.data.module.Data"]
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [["b", "c"]]


def foreign(modules: list[Module], *allowed: str, everywhere: bool = True) -> set[tuple[str, str]]:
    """What modules import beside the standard library, this project and what is allowed."""
    known = {"qstar_pl", "__future__", *sys.stdlib_module_names, *allowed}
    found = {one for module in modules for one in packages_of(module, everywhere=everywhere)}
    return {(file, name) for file, name in found if name.partition(".")[0] not in known}


def test_mathematics_imports_torch_and_nothing_else() -> None:
    assert foreign(in_part("qstar"), "torch") == set()


def test_callbacks_import_lightning_and_what_it_brings() -> None:
    assert foreign(in_part("callbacks"), "torch", "lightning", "rich", everywhere=False) == set()


def test_the_sandbox_is_a_package_of_its_own() -> None:
    assert foreign(in_part("sandbox")) == set()
    needed = {(one.name, other) for one in in_part("sandbox") for other in SOURCE.own_imports(one)}
    assert {(name, other) for name, other in needed if not other.startswith("qstar_pl.sandbox")} == set()


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


OF_CLASSES = ("generate", "evaluate", "tournament")
"""Tools whose options are those of classes."""


def test_help_of_tools_brings_no_library_that_only_their_work_needs() -> None:
    tools = [name for name in commands() if name not in (*TRAINER_COMMANDS, *OF_CLASSES)]
    heavy = ("torch", "lightning", "transformers", "datasets", "matplotlib", "scipy", "pandas", "sympy")
    code = f"from qstar_pl.cli import main\nfor name in {tools}: assert main([name, '--help']) == 0"
    assert loaded_after(code, *heavy).endswith("[]")


def test_commands_without_models_bring_neither_torch_nor_what_stands_on_it(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "1 + 1?", "answer": "It is 2\\n#### 2"}\n')
    (tmp_path / "metrics.csv").write_text("step,reward/gold\n1,0.5\n2,0.6\n")
    (tmp_path / "a.diagnostics.jsonl").write_text('{"tokens": 4, "alpha_mean": 0.5, "kl_t_mean": 0.3}\n')
    lines = [
        ["data", "--path", "rows.jsonl"],
        ["curves", "metrics.csv", "--key", "reward/gold", "--output", "a.png"],
        ["analyze", "a.diagnostics.jsonl"],
    ]
    heavy = ("torch", "lightning", "torchmetrics", "datasets", "scipy", "pandas", "sympy", "sklearn", "wandb")
    code = f"import os\nos.chdir({str(tmp_path)!r})\nfrom qstar_pl.cli import main\n"
    assert loaded_after(f"{code}for line in {lines}: assert main(line) == 0", *heavy).endswith("[]")


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
    """A test lies where the module lies that it is named for, or is one of those that are of no single module."""
    tests = REPOSITORY / "tests"
    parts = {folder.name for folder in PACKAGE.iterdir() if folder.is_dir() and list(folder.glob("[a-z]*.py"))}
    assert {part for part in parts if not list((tests / part).rglob("test_*.py"))} == set()
    names = {str(file.relative_to(tests)) for file in tests.rglob("test_*.py")}
    assert names >= CROSS_CUTTING, "what is gone is not to be listed"
    assert sorted(name for name in names if not (name in CROSS_CUTTING or has_a_place(Path(name)))) == []
    assert [name for name in CROSS_CUTTING if has_a_place(Path(name))] == []


def has_a_place(test: Path) -> bool:
    """Whether a test is of the module of its name, of the folder of its name, or of a property of the whole."""
    stem = test.stem.removeprefix("test_")
    module = PACKAGE / test.parent / stem
    plug_in = stem.startswith("plug_in") or stem.startswith("plugin")
    whole = test.parts[0] in ("invariant", "reference")
    return whole or plug_in or module.is_dir() or module.with_suffix(".py").exists()


def test_files_fit_a_reader() -> None:
    lines = {module.name: module.text.count("\n") for module in SOURCE.modules.values()}
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_init_files_only_re_export() -> None:
    wrong = []
    for module in SOURCE.modules.values():
        if not module.is_package or module.path.parent == PACKAGE:
            continue
        for node in module.tree.body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            re_export = isinstance(node, ast.ImportFrom) and all(alias.asname == alias.name for alias in node.names)
            name_guard = isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
            on_demand = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            if not (docstring or re_export or name_guard or on_demand):
                wrong.append(f"{module.name}: {ast.unparse(node).splitlines()[0]}")
    assert wrong == []
