"""README.md and docs/ against what is there: links, Python, and every name that they put into backticks.

Names are looked for in the source's syntax trees, where nothing is hidden behind a lazy import. What a name may be is
read off its form: an option begins with dashes, a logged key is two words with a slash, a class is in CamelCase, a
file has a suffix.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml
from documents import COOKBOOK, DOCUMENTS, REPOSITORY, files_of, name_of, prose, settings, snippets

from qstar_pl.cli.shipped import configuration
from qstar_pl.experiments.matrix import read_experiment

SOURCE = REPOSITORY / "src" / "qstar_pl"
FOLLOWED = [*COOKBOOK, REPOSITORY / "docs" / "walkthrough.md"]
"""Documents whose Python has a test of its own."""
LIBRARIES = (
    "lightning.pytorch",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.loggers",
    "lightning.pytorch.strategies",
    "lightning.pytorch.plugins.environments",
    "torch.nn",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "transformers",
)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CLASS = re.compile(r"[A-Z]\w*[a-z]\w*")
KEY = re.compile(r"(\w+)/(\w+)")
OPTION = re.compile(r"(?<![\w-])--([a-z][\w.-]*)")


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives a document's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: Path) -> list[tuple[Path, str]]:
    """Return where a document's links within the repository lead: file and anchor."""
    found = [link for link in LINK.findall(prose(document)) if not re.match(r"https?:", link)]
    pairs = [link.partition("#")[::2] for link in found]
    return [((document.parent / path).resolve() if path else document, anchor) for path, anchor in pairs]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    assert [str(path) for path, _ in links(document) if not path.exists()] == []
    assert [anchor for path, anchor in links(document) if anchor and anchor not in anchors(path)] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [DOCUMENTS[0]]
    while waiting:
        document = waiting.pop()
        reached.add(document)
        waiting += [path for path, _ in links(document) if path in DOCUMENTS and path not in reached]
    assert [name_of(document) for document in DOCUMENTS if document not in reached] == []


SMALLER = (
    (
        "max_steps=50, ",
        "max_steps=1, limit_val_batches=0, accelerator='cpu', logger=False, enable_checkpointing=False, ",
    ),
    ("batch_size=16", "batch_size=2, max_rows=64"),
    ("max_new_tokens=32", "max_new_tokens=4"),
)


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if one not in FOLLOWED and snippets(one)], ids=name_of)
def test_python_runs(document: Path, isolated: Path, lightning: None) -> None:
    import torch

    logprobs = {name: torch.randn(3, 50).log_softmax(-1) for name in ("policy_logprobs", "target_logprobs")}
    for snippet in snippets(document):
        for printed, smaller in SMALLER:
            snippet = snippet.replace(printed, smaller)
        exec(compile(snippet, document.name, "exec"), {"__name__": "reader", **logprobs})


def own_files(document: Path) -> str:
    """Return the Python files that a document gives in full, as one text."""
    return "\n".join(block for name, block in files_of(document).items() if name.endswith(".py"))


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if settings(one)], ids=name_of)
def test_yaml_is_understood(document: Path, qstar: Callable[..., tuple[int, str, str]]) -> None:
    for block in settings(document):
        if "question" in yaml.safe_load(block):  # an experiment's file
            Path("block.yaml").write_text(block)
            assert read_experiment(Path("block.yaml"), "tiny", configuration).cells
            continue
        whole = set(yaml.safe_load(block)) <= {"model", "data", "trainer", "name", "seed_everything"}
        Path("block.yaml").write_text(block)
        code, _, err = qstar("fit", "--config" if whole else "--data", "block.yaml", "--print_config")
        assert code == 0, err


@cache
def sources() -> tuple[str, ...]:
    """Return what defines names: the package, its callbacks and benchmarks, and the documents' own files."""
    folders = (SOURCE, REPOSITORY / "callbacks", REPOSITORY / "benchmarks")
    return (*(path.read_text() for folder in folders for path in folder.rglob("*.py")), *map(own_files, DOCUMENTS))


@cache
def trees() -> tuple[ast.AST, ...]:
    return tuple(node for source in sources() for node in ast.walk(ast.parse(source)))


@cache
def text() -> str:
    return "\n".join([*sources(), *(path.read_text() for path in (REPOSITORY / "configs").rglob("*.yaml"))])


@dataclass
class Known:
    """A class of the source."""

    members: set[str]
    bases: set[str]


@cache
def classes() -> dict[str, Known]:
    found: dict[str, Known] = {}
    for node in (node for node in trees() if isinstance(node, ast.ClassDef)):
        known = found.setdefault(node.name, Known(set(), set()))
        known.bases |= {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for part in ast.walk(node):
            if isinstance(part, ast.FunctionDef):
                known.members |= {part.name, *(argument.arg for argument in part.args.args)}
            elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                known.members.add(part.target.id)
    return found


def has_member(name: str, member: str) -> bool:
    """Whether a class of ours has a method, field or argument of this name, itself or from a class above it."""
    known = classes().get(name)
    return known is not None and (member in known.members or any(has_member(base, member) for base in known.bases))


@cache
def parameters() -> set[str]:
    """Every name that could be an option, or a part of one: parameters and fields of ours and of the trainer's."""
    found = {"config", "help", "ckpt_path", "init_args"}
    for node in trees():
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            found |= {str(word.value).lstrip("-") for word in node.args if isinstance(word, ast.Constant)}
    for library in ("lightning.pytorch.Trainer", "lightning.pytorch.callbacks.ModelCheckpoint", "torch.optim.AdamW"):
        module, _, name = library.rpartition(".")
        found |= set(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    return found | {name.replace("_", "-") for name in found if not name.startswith("_")}


def spans(document: Path) -> list[str]:
    return SPAN.findall(prose(document))


SUFFIXES = ("md", "py", "json", "jsonl")
NOT_OURS = {"seed_everything", "print_config", "local-dir", "logdir", "nnodes", "signal", "requeue"}
"""Options of Lightning's parser, of hf, tensorboard, torchrun and SLURM."""


def unknown_options(document: Path) -> list[str]:
    written = [
        part for span in spans(document) for option in OPTION.findall(span) for part in option.rstrip(".").split(".")
    ]
    return sorted({part for part in written if part not in parameters() | NOT_OURS})


def unknown_classes(document: Path) -> list[str]:
    unknown = []
    for span in spans(document):
        name, _, member = re.sub(r"\(.*\)$", "", span).partition(".")
        if not CLASS.fullmatch(name) or (member and not member.isidentifier()) or member in SUFFIXES:
            continue
        if name in classes():
            if member and not has_member(name, member):
                unknown.append(span)
        elif not any(hasattr(importlib.import_module(library), name) for library in LIBRARIES):
            unknown.append(span)
    return unknown


def unknown_keys(document: Path) -> list[str]:
    diagnostics = spans(REPOSITORY / "docs" / "diagnostics.md")
    groups = {match[1] for span in diagnostics if (match := KEY.fullmatch(span))} | {"val", "test"}
    unknown = []
    for span in spans(document):
        match = KEY.fullmatch(span)
        if match is None or match[1] not in groups or (REPOSITORY / span).exists():
            continue
        own = "".join(block for name, block in files_of(document).items() if name.endswith(".py"))
        literal = span in text() or span in own
        put_together = f'"{match[2]}"' in text() or f"{match[2].rpartition('_')[0]}_{{" in own
        if not (literal or put_together):
            unknown.append(span)
    return unknown


def unknown_files(document: Path) -> list[str]:
    unknown = []
    for span in spans(document):
        if not re.fullmatch(r"[\w./-]+\.(?:py|md|ya?ml|sh)|(?:src|tests|configs|benchmarks|docs)/[\w./-]*", span):
            continue
        places = (REPOSITORY, SOURCE, document.parent, REPOSITORY / "benchmarks")
        own = {name for page in DOCUMENTS for name in files_of(page)}
        if "/" in span and not any((place / span).exists() for place in places) and span not in own:
            unknown.append(span)
    return unknown


OF_ANOTHER_PROJECT = ("coming_from_trl.md",)
"""Documents in which options and keys of another project stand beside ours."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_names_in_backticks_exist(document: Path) -> None:
    assert unknown_classes(document) == []
    assert unknown_files(document) == []
    if name_of(document) not in OF_ANOTHER_PROJECT:
        assert unknown_options(document) == []
        assert unknown_keys(document) == []


@pytest.mark.parametrize(
    ("module", "base"),
    [
        ("qstar_pl.samplers", "Sampler"),
        ("qstar_pl.samplers.drafters", "Drafter"),
        ("qstar_pl.samplers.couplings", "Coupling"),
        ("qstar_pl.samplers.engines", "Engine"),
        ("qstar_pl.targets", "Target"),
        ("qstar_pl.rewards", "Reward"),
        ("qstar_pl.qstar", "AlphaStrategy"),
        ("qstar_pl.qstar.weights", "WeightTreatment"),
        ("qstar_pl.data", "Adapter"),
        ("qstar_pl.data", "Rendering"),
        ("qstar_pl.data", "RowFilter"),
        ("qstar_pl.methods", "RLHFModule"),
        ("qstar_pl.evaluation.metrics", "Metric"),
        ("qstar_pl.evaluation.metrics", "Baseline"),
        ("qstar_pl.evaluation.judges", "Judge"),
    ],
)
def test_the_page_of_choices_has_all_of_a_kind(module: str, base: str, lightning: None) -> None:
    listed = set(spans(REPOSITORY / "docs" / "choices.md"))
    members = vars(importlib.import_module(module))
    kinds = [one for one in members.values() if inspect.isclass(one) and issubclass(one, members[base])]
    names = {one.__name__ for one in kinds if not inspect.isabstract(one)} - {base}
    assert len(names) > 1
    assert sorted(names - listed) == []


def test_what_a_document_must_not_say_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text(
        "# One two\n[x](gone.md) [y](#one-two) [z](#three) [w](https://elsewhere.org/a)\n"
        "`--model.sampler.gone=2` `--trainer.max_steps` `GoneSampler` `Sampler.gone` `Sampler.draw` `QStar`\n"
        "`alpha/vanished` `alpha/mean` `val/reward_gold` `val/reward_gone` `tests/gone.py` `qstar/alpha.py`\n"
    )
    assert [path.name for path, _ in links(page) if not path.exists()] == ["gone.md"]
    assert anchors(page) == {"one-two"}
    assert unknown_options(page) == ["gone"]
    assert unknown_classes(page) == ["GoneSampler", "Sampler.gone"]
    assert unknown_keys(page) == ["alpha/vanished", "val/reward_gone"]
    assert unknown_files(page) == ["tests/gone.py"]
