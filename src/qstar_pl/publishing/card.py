"""The model card of an exported model: README.md with the hub's header."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from qstar_pl import __version__
from qstar_pl.models import FromCheckpoint
from qstar_pl.publishing.facts import Facts
from qstar_pl.secrets import shown

PROJECT = "qstar-pl"
_TASKS = {
    "AutoModelForCausalLM": "text-generation",
    "AutoModelForSequenceClassification": "text-classification",
}
"""Class that loads the folder → the hub's name of what it does."""
_CHOICES = ("target", "sampler", "weights", "advantage", "kl_placement", "kl_coefficient", "beta", "loss")
"""Options of a method that a reader asks for first."""


def card_of(source: FromCheckpoint, loaded_by: str) -> str:
    """Return the card of a checkpoint; see `model_card`."""
    return model_card(Facts.of(Path(source.path), source), loaded_by)


def model_card(facts: Facts, loaded_by: str) -> str:
    """Return the text of README.md.

    Args:
        facts: of the checkpoint.
        loaded_by: the class that loads the folder; PeftModel for adapters alone.

    """
    header = yaml.safe_dump(_header(facts, loaded_by), sort_keys=False, allow_unicode=True)
    return f"---\n{header}---\n\n" + shown("\n".join(_body(facts, loaded_by)))


def _header(facts: Facts, loaded_by: str) -> dict[str, Any]:
    adapters = loaded_by == "PeftModel"
    header: dict[str, Any] = {"base_model": facts.base} if facts.on_hub else {}
    header["library_name"] = "peft" if adapters else "transformers"
    header["pipeline_tag"] = _TASKS.get(loaded_by, "text-generation")
    header["tags"] = [PROJECT, "rlhf", facts.method.lower(), *(["lora"] if adapters else [])]
    return header


def _body(facts: Facts, loaded_by: str) -> Iterator[str]:
    yield f"# A model trained by {facts.method}"
    yield ""
    start = "an unknown model" if facts.base is None else f"`{facts.base}`"
    yield f"Trained with {PROJECT} {__version__}, starting from {start}, for {facts.step} optimizer steps."
    if facts.lineage:
        yield f"Between that model and this run: {'; '.join(f'`{stage}`' for stage in facts.lineage)}."
    yield ""
    yield "## Training"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield from (f"| {name} | {_cell(value)} |" for name, value in _rows(facts))
    yield ""
    if facts.metrics:
        yield f"## Last validation (step {facts.measured_step})"
        yield ""
        yield "| metric | value |"
        yield "|---|---|"
        yield from (f"| `{key}` | {value:.4g} |" for key, value in sorted(facts.metrics.items()))
        yield ""
    if facts.commands:
        yield "## Commands"
        yield ""
        yield "```bash"
        yield from facts.commands
        yield "```"
        yield ""
    yield "## Use"
    yield ""
    yield "```python"
    yield from _use(loaded_by, facts)
    yield "```"
    yield ""
    yield "## License"
    yield ""
    yield (
        "Not stated here: the licenses of the model that training started from and of the data apply. Whoever "
        "publishes this folder adds `license:` to the header above."
    )
    yield ""


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    yield "method", facts.method
    # Others only watch a reward.
    for name in (*_CHOICES, "reward") if "sampler" in facts.options else _CHOICES:
        if facts.options.get(name) is not None:
            yield _LABELS.get(name, name), compact(facts.options[name])
    data = facts.data
    if data.get("path") is not None:
        yield "data", compact(data["path"])
    if data.get("adapter") is not None:
        yield "adapter", compact(data["adapter"])
    for path, digest in facts.fingerprints.items():
        yield f"sha256 of {path}", digest
    if facts.training_rows is not None:
        yield "rows trained on", str(facts.training_rows)
    for name in ("batch_size", "max_prompt_tokens", "max_completion_tokens"):
        if data.get(name) is not None:
            yield name, str(data[name])
    yield "optimizer steps", str(facts.step)
    if facts.seed is not None:
        yield "seed", str(facts.seed)


_LABELS = {"target": "π_t", "sampler": "sampler (q, α)", "kl_coefficient": "KL coefficient", "kl_placement": "KL"}


def compact(value: Any) -> str:
    """Return a configuration value on one line, with short class names and without null values."""
    if isinstance(value, Mapping):
        given = {key: one for key, one in value.items() if one is not None}
        if "class_path" in given:
            options = _given(given.get("init_args"))
            inner = ", ".join(f"{key}={compact(one)}" for key, one in options.items())
            return f"{str(given['class_path']).rpartition('.')[2]}({inner})"
        return "{" + ", ".join(f"{key}: {compact(one)}" for key, one in given.items()) + "}"
    if isinstance(value, list):
        return ", ".join(map(compact, value))
    return str(value)


def _given(options: Any) -> dict[str, Any]:
    return {key: one for key, one in options.items() if one is not None} if isinstance(options, Mapping) else {}


def _cell(text: str) -> str:
    return "`" + text.replace("|", "\\|").replace("\n", " ").replace("`", "'") + "`"


def _use(loaded_by: str, facts: Facts) -> Iterator[str]:
    if loaded_by == "PeftModel":
        base = facts.base if facts.on_hub else "FOLDER_OF_THE_BASE"
        yield "from peft import PeftModel"
        yield "from transformers import AutoModelForCausalLM"
        yield ""
        yield f'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{base}"), "FOLDER")'
        return
    yield f"from transformers import {loaded_by}, AutoTokenizer"
    yield ""
    yield f'model = {loaded_by}.from_pretrained("FOLDER")'
    yield 'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
