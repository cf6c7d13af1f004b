"""Checkpoints, models and data sets that somebody has written to run code where they are read.

Each leaves the file `CANARY` in the working folder if its code runs. `checkpoint_attacks` are made from a checkpoint of
`qstar fit --model=SFT`, `model_attacks` from a copy of tiny/policy.
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.distributed import checkpoint as dcp

from qstar_pl.checkpoints.damage import write_manifest
from qstar_pl.checkpoints.digest import seal
from qstar_pl.models.tiny import ASSETS

CANARY = "canary"
MODULE = "hostile"
"""A module in the working folder; importing it is enough."""
CODE = f"""
open({CANARY!r}, "w").close()
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
class Config(GPT2Config): model_type = "hostile"
class Model(GPT2LMHeadModel): config_class = Config
class Tokens(PreTrainedTokenizerFast): pass
def run(*args, **kwargs): pass
class Source: pass
"""


class Harm:
    """Its pickle touches the canary."""

    def __reduce__(self) -> Any:
        return open, (CANARY, "w")


class HarmTorchAllows:
    """The same by way of a function of torch's."""

    def __reduce__(self) -> Any:
        return torch.hub.load, (".", "entry", {"source": "local"})


def hostile_folder() -> Path:
    """Return a model's folder, with code, that asks to be run."""
    Path(f"{MODULE}.py").write_text(CODE)
    folder = copy_of_model(Path("model"))
    (folder / "code.py").write_text(CODE)
    edit_json(
        folder / "config.json",
        model_type="hostile",
        auto_map={"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"},
    )
    return folder


def copy_of_model(folder: Path) -> Path:
    shutil.copytree(ASSETS / "policy", folder, dirs_exist_ok=True)
    shutil.copytree(ASSETS / "tokenizer", folder, dirs_exist_ok=True)
    return folder


def edit_json(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**content, **changes}))


def write_file(contents: dict[str, Any], path: Path = Path("attack.ckpt")) -> Path:
    torch.save(contents, path)
    seal(path)
    return path


def write_folder(contents: dict[str, Any], path: Path = Path("attack.ckpt")) -> Path:
    """Write as Lightning's sharding strategies do, from one process."""
    parts = {key: contents[key] for key in ("state_dict",)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({**parts, "optimizer_0": {"lr": contents.get("lr", 1e-4)}}, checkpoint_id=path, no_dist=True)
    torch.save({key: value for key, value in contents.items() if key not in parts}, path / "meta.pt")
    write_manifest(path)
    return path


def with_config(contents: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a checkpoint whose stored configuration says something else under dotted names."""
    config = json.loads(json.dumps(contents["qstar_config"]))
    for name, value in changes.items():
        *parents, last = name.split("__")
        place = config
        for part in parents:
            place = place[part]
        place[last] = value
    return {**contents, "qstar_config": config}


def pickle_in_a_file(contents: dict[str, Any]) -> Path:
    return write_file({**contents, "epoch": Harm()})


def pickle_of_torch(contents: dict[str, Any]) -> Path:
    Path("hubconf.py").write_text(CODE + "def entry(**k): pass\n")
    return write_file({**contents, "state_dict": HarmTorchAllows()})


def old_pickle(contents: dict[str, Any]) -> Path:
    path = Path("attack.ckpt")
    torch.save({**contents, "epoch": Harm()}, path, _use_new_zipfile_serialization=False)
    return path


def bare_pickle(contents: dict[str, Any]) -> Path:
    path = Path("attack.ckpt")
    path.write_bytes(pickle.dumps(Harm()))
    return path


def pickle_in_the_table_of_contents(contents: dict[str, Any]) -> Path:
    path = write_folder(contents)
    table = pickle.loads((path / ".metadata").read_bytes())
    table.planner_data["harm"] = Harm()
    (path / ".metadata").write_bytes(pickle.dumps(table))
    write_manifest(path)
    return path


def table_of_contents_that_is_all_harm(contents: dict[str, Any]) -> Path:
    path = write_folder(contents)
    (path / ".metadata").write_bytes(pickle.dumps(Harm()))
    (path / "checksums.json").unlink()
    return path


def pickle_in_a_shard(contents: dict[str, Any]) -> Path:
    """A value that is no tensor: torch's own reader unpickles it."""
    path = write_folder(contents)
    table = pickle.loads((path / ".metadata").read_bytes())
    index = next(one for one in table.storage_data if one.fqn.startswith("optimizer_0"))
    stream = io.BytesIO()
    torch.save(Harm(), stream)
    place = table.storage_data[index]
    shard = path / place.relative_path
    place.offset, place.length = shard.stat().st_size, len(stream.getvalue())
    shard.write_bytes(shard.read_bytes() + stream.getvalue())
    (path / ".metadata").write_bytes(pickle.dumps(table))
    write_manifest(path)
    return path


def shard_outside_the_folder(contents: dict[str, Any]) -> Path:
    path = write_folder(contents)
    table = pickle.loads((path / ".metadata").read_bytes())
    (path / "__0_0.distcp").rename(path.parent / "outside.distcp")
    for place in table.storage_data.values():
        place.relative_path = "../outside.distcp"
    (path / ".metadata").write_bytes(pickle.dumps(table))
    write_manifest(path)
    return path


def stored_trust(contents: dict[str, Any]) -> Path:
    name = str(hostile_folder())
    policy = {"class_path": "qstar_pl.models.Pretrained", "init_args": {"name": name, "trust_remote_code": True}}
    return write_file(with_config(contents, model__init_args__policy=policy))


def stored_trust_in_a_word(contents: dict[str, Any]) -> Path:
    name = str(hostile_folder())
    policy = {"class_path": "Pretrained", "init_args": {"name": name, "trust_remote_code": "yes"}}
    return write_file(with_config(contents, model__init_args__policy=policy))


def stored_class(contents: dict[str, Any]) -> Path:
    Path(f"{MODULE}.py").write_text(CODE)
    return write_file(with_config(contents, model__init_args__policy={"class_path": f"{MODULE}.Source"}))


def stored_function(contents: dict[str, Any]) -> Path:
    Path(f"{MODULE}.py").write_text(CODE)
    return write_file(with_config(contents, model__init_args__policy={"class_path": "os.system", "init_args": {}}))


def stored_settings_file(contents: dict[str, Any]) -> Path:
    """Where a class is wanted, the parser reads a file of this name."""
    Path(f"{MODULE}.py").write_text(CODE)
    Path("policy.yaml").write_text(f"class_path: {MODULE}.Source\n")
    return write_file(with_config(contents, model__init_args__policy="policy.yaml"))


def stored_address(contents: dict[str, Any]) -> Path:
    policy = {"class_path": "qstar_pl.models.Pretrained", "init_args": {"name": "http://127.0.0.1:9/model"}}
    return write_file(with_config(contents, model__init_args__policy=policy))


def stored_callback(contents: dict[str, Any]) -> Path:
    Path(f"{MODULE}.py").write_text(CODE)
    hook = {"class_path": "lightning.pytorch.callbacks.LambdaCallback", "init_args": {"setup": f"{MODULE}.run"}}
    return write_file(with_config(contents, trainer__callbacks=[hook]))


def stored_adapter(contents: dict[str, Any]) -> Path:
    Path(f"{MODULE}.py").write_text(CODE)
    return write_file(with_config(contents, data__init_args__adapter={"class_path": f"{MODULE}.Source"}))


def stored_optimizer(contents: dict[str, Any]) -> Path:
    Path(f"{MODULE}.py").write_text(CODE)
    return write_file(with_config(contents, model__init_args__optimizer={"class_path": f"{MODULE}.run"}))


def stored_place(contents: dict[str, Any]) -> Path:
    return write_file(with_config(contents, trainer__default_root_dir=str(Path("../elsewhere").resolve())))


def stored_place_afar(contents: dict[str, Any]) -> Path:
    """An address that begins with no scheme: fsspec opens chains of them."""
    return write_file(with_config(contents, trainer__default_root_dir="simplecache::http://127.0.0.1:9/runs"))


def stored_place_of_a_logger_afar(contents: dict[str, Any]) -> Path:
    return write_file(with_config(contents, trainer__logger__init_args__save_dir="filecache::memory://runs"))


def yaml_beside(contents: dict[str, Any]) -> Path:
    """Without a configuration inside, the one beside the checkpoint is read."""
    folder = Path("run/checkpoints")
    folder.mkdir(parents=True)
    call = f"!!python/object/apply:builtins.open [{CANARY}, w]"
    (folder.parent / "config.yaml").write_text(f"model: {call}\n")
    return write_file({k: v for k, v in contents.items() if k != "qstar_config"}, folder / "attack.ckpt")


ANY_COMMAND: tuple[Callable[[dict[str, Any]], Path], ...] = (
    pickle_in_a_file,
    pickle_of_torch,
    old_pickle,
    bare_pickle,
    pickle_in_the_table_of_contents,
    table_of_contents_that_is_all_harm,
    pickle_in_a_shard,
    shard_outside_the_folder,
    stored_trust,
    stored_trust_in_a_word,
    stored_class,
    stored_function,
    stored_settings_file,
    stored_address,
    yaml_beside,
)
"""What every command meets that reads a checkpoint."""
TRAINER_COMMANDS: tuple[Callable[[dict[str, Any]], Path], ...] = (
    stored_callback,
    stored_adapter,
    stored_optimizer,
    stored_place,
    stored_place_afar,
    stored_place_of_a_logger_afar,
)
"""What those meet that build a trainer from it."""


def code_of_a_model(folder: Path) -> None:
    hostile_folder().rename(folder)


def code_beside_a_known_model(folder: Path) -> None:
    copy_of_model(folder)
    (folder / "code.py").write_text(CODE)
    edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "code.Model"})


def code_of_a_tokenizer(folder: Path) -> None:
    copy_of_model(folder)
    (folder / "code.py").write_text(CODE)
    edit_json(
        folder / "tokenizer_config.json", tokenizer_class="Tokens", auto_map={"AutoTokenizer": [None, "code.Tokens"]}
    )


def tokenizer_class_elsewhere(folder: Path) -> None:
    Path(f"{MODULE}.py").write_text(CODE)
    copy_of_model(folder)
    edit_json(folder / "tokenizer_config.json", tokenizer_class=f"{MODULE}.Tokens")


def template_that_leaves_the_sandbox(folder: Path) -> None:
    copy_of_model(folder)
    escape = "{{ cycler.__init__.__globals__.os.system('touch " + CANARY + "') }}"
    edit_json(folder / "tokenizer_config.json", chat_template=escape + "{{ messages }}")


def template_without_an_end(folder: Path) -> None:
    copy_of_model(folder)
    loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    edit_json(folder / "tokenizer_config.json", chat_template=loops)


def template_that_computes_without_an_end(folder: Path) -> None:
    """One operation, in which no signal is looked at."""
    copy_of_model(folder)
    edit_json(folder / "tokenizer_config.json", chat_template="{{ messages }}{{ 9 ** 9 ** 9 }}")


def ends_that_are_no_tokens(folder: Path) -> None:
    copy_of_model(folder)
    edit_json(folder / "generation_config.json", eos_token_id=[1, "x"])


def pickled_weights(folder: Path) -> None:
    copy_of_model(folder)
    (folder / "model.safetensors").unlink()
    torch.save(Harm(), folder / "pytorch_model.bin")


def pickles_beside_the_weights(folder: Path) -> None:
    copy_of_model(folder)
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        torch.save(Harm(), folder / name)


def pickled_adapter(folder: Path) -> None:
    copy_of_model(folder)
    base = {"peft_type": "LORA", "base_model_name_or_path": str(folder), "r": 2, "target_modules": ["c_attn"]}
    edit_json(folder / "adapter_config.json", **base, auto_mapping={"parent_library": MODULE, "base_model_class": "M"})
    Path(f"{MODULE}.py").write_text(CODE)
    torch.save(Harm(), folder / "adapter_model.bin")


def index_to_a_pickle(folder: Path) -> None:
    copy_of_model(folder)
    (folder / "model.safetensors").unlink()
    torch.save(Harm(), folder / "weights.bin")
    edit_json(
        folder / "model.safetensors.index.json", metadata={}, weight_map={"transformer.wte.weight": "weights.bin"}
    )


def index_out_of_the_folder(folder: Path) -> None:
    copy_of_model(folder)
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    edit_json(
        folder / "model.safetensors.index.json",
        metadata={},
        weight_map={"transformer.wte.weight": "../outside.safetensors"},
    )


def header_without_an_end(folder: Path) -> None:
    copy_of_model(folder)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")


def header_with_overlaps(folder: Path) -> None:
    copy_of_model(folder)
    tensors = {"a": (0, 8), "b": (4, 8)}
    header = json.dumps(
        {
            name: {"dtype": "F32", "shape": [(to - at) // 4], "data_offsets": [at, to]}
            for name, (at, to) in tensors.items()
        }
    ).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))


def kernel_of_a_hub(folder: Path) -> None:
    copy_of_model(folder)
    edit_json(folder / "config.json", attn_implementation="somebody/kernel")


REFUSED_MODELS: tuple[Callable[[Path], None], ...] = (
    code_of_a_model,
    template_that_leaves_the_sandbox,
    template_without_an_end,
    template_that_computes_without_an_end,
    ends_that_are_no_tokens,
    pickled_weights,
    pickled_adapter,
    index_to_a_pickle,
    index_out_of_the_folder,
    header_without_an_end,
    header_with_overlaps,
    kernel_of_a_hub,
)
"""Models that cannot be read without doing what they ask for."""
IGNORED_MODELS: tuple[Callable[[Path], None], ...] = (
    code_beside_a_known_model,
    code_of_a_tokenizer,
    tokenizer_class_elsewhere,
    pickles_beside_the_weights,
)
"""Models that can: what they ask for is left alone."""


def script_of_a_data_set(folder: Path) -> None:
    folder.mkdir()
    (folder / f"{folder.name}.py").write_text(CODE)


def pickles_as_data(folder: Path) -> None:
    folder.mkdir()
    for name in ("train.pkl", "state.pt", "rows.npy"):
        (folder / name).write_bytes(pickle.dumps(Harm()))


def yaml_of_a_data_card(folder: Path) -> None:
    folder.mkdir()
    call = f"!!python/object/apply:builtins.open [{CANARY}, w]"
    (folder / "README.md").write_text(f"---\nconfigs: {call}\n---\n")


def deep_yaml_of_a_data_card(folder: Path) -> None:
    folder.mkdir()
    (folder / "README.md").write_text(f"---\nconfigs: {'[' * 5000}\n---\n")


DATA: tuple[Callable[[Path], None], ...] = (
    script_of_a_data_set,
    pickles_as_data,
    yaml_of_a_data_card,
    deep_yaml_of_a_data_card,
)
