"""Whole runs: what is written, and what is left when they are stopped."""

import datetime
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lightning.pytorch import Trainer
from reference.renumbered import permutation, save_renumbered
from small_generation import SUFFIXES, contents, run_small, small_settings

from qstar_pl.data import PromptResponse
from qstar_pl.errors import UserError
from qstar_pl.generation import generate_dataset, plan
from qstar_pl.generation.parts import adapter_of
from qstar_pl.generation.run import resolve_device
from qstar_pl.generation.shard import Shard
from qstar_pl.models import Pretrained
from qstar_pl.models.tokenizers import load_tokenizer, vocabulary_size
from qstar_pl.rollout.row_numbers import ROW_NUMBERS
from qstar_pl.samplers import GeometricSampler, SpeculativeSampler


def lines(path: str | Path) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_rows_come_in_the_order_of_the_data_with_their_fields(isolated):
    run = run_small(save_diagnostics="tokens")
    assert (run.complete, run.rows, run.new_rows, run.kept_rows) == (True, 20, 20, 0)
    rows, diagnostics = lines("out.jsonl"), lines("out.diagnostics.jsonl")
    assert [row["answer_idx"] for row in rows] == [0, 1] * 10
    assert [row["sample_idx"] for row in rows] == [row for row in range(10) for _ in range(2)]
    for row, numbers in zip(rows, diagnostics, strict=True):
        assert [turn["role"] for turn in row["messages"]][-2:] == ["user", "assistant"]
        assert {"task", "prompt", "chosen", "rejected"} <= set(row), "the data set's own columns"
        assert [numbers[name] == row[name] for name in ("sample_idx", "answer_idx")] == [True, True]
        assert numbers["prompt_cut"] is False
        assert numbers["model_theta"] != numbers["model_t"]
    by_key = {}
    for numbers in diagnostics:
        by_key.setdefault(numbers["key"], set()).add(numbers["seed"])
    assert len(by_key) == 10
    assert all(len(seeds) == 2 for seeds in by_key.values())
    totals = json.loads(Path("out.run.json").read_text())["totals"]
    assert totals["tokens"] == run.new_tokens == sum(numbers["tokens"] for numbers in diagnostics)
    assert set(contents(Path("out.jsonl").absolute())) == set(SUFFIXES)


def test_tokens_are_a_table_that_agrees_with_the_rows(isolated):
    from pyarrow import parquet

    run_small(save_diagnostics="tokens")
    table = parquet.read_table("out.tokens.parquet").to_pydict()
    for numbers in lines("out.diagnostics.jsonl"):
        name = (numbers["sample_idx"], numbers["answer_idx"])
        places = [i for i, own in enumerate(zip(table["sample_idx"], table["answer_idx"], strict=True)) if own == name]
        assert [table["position"][place] for place in places] == list(range(numbers["tokens"]))
        alpha = [table["alpha"][place] for place in places]
        assert sum(alpha) / len(alpha) == pytest.approx(numbers["alpha_mean"], rel=1e-5)
        assert {table["key"][place] for place in places} == {numbers["key"]}


def test_batches_do_not_change_a_row_but_seeds_do(isolated):
    run_small("a.jsonl")
    run_small("b.jsonl", batch_size=7)
    run_small("c.jsonl", seed=1)
    a, b, c = (lines(f"{name}.jsonl") for name in "abc")
    assert a == b
    assert sum(x != y for x, y in zip(a, c, strict=True)) > 15


def test_a_range_gives_the_rows_of_the_whole(isolated):
    run_small("whole.jsonl")
    run_small("part.jsonl", start_idx=4, end_idx=7)
    assert lines("part.jsonl") == lines("whole.jsonl")[8:14]


def questions(path: str = "q.jsonl", count: int = 6) -> str:
    Path(path).write_text("".join(json.dumps({"question": f"{number}+1?"}) + "\n" for number in range(count)))
    return path


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({"start_idx": 2, "num_samples": 3}, [2, 3, 4]),
        ({"start_idx": 4, "num_samples": 1000}, [4, 5]),
        ({"num_samples": 2, "samples_per_prompt": 2}, [0, 0, 1, 1]),
        ({"start_idx": 1, "num_samples": 1000, "end_idx": 3}, [1, 2]),
        ({"num_samples": 2, "end_idx": 5}, [0, 1]),
    ],
)
def test_num_samples_counts_rows_and_sample_idx_is_the_row(isolated, changes, rows):
    run_small(dataset=questions(), **{"end_idx": None, "samples_per_prompt": 1, "max_new_tokens": 2, **changes})
    assert [row["sample_idx"] for row in lines("out.jsonl")] == rows
    assert [row["sample_idx"] for row in lines("out.diagnostics.jsonl")] == rows
    assert [row["question"] for row in lines("out.jsonl")] == [f"{row}+1?" for row in rows]


def test_a_row_left_out_keeps_its_number(isolated):
    rows = [{"question": text} for text in ("a?", " ", "b?")]
    Path("q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run_small(dataset="q.jsonl", end_idx=None, samples_per_prompt=1, max_new_tokens=2)
    assert [row["sample_idx"] for row in lines("out.jsonl")] == [0, 2]


def test_prompts_that_were_cut_are_counted(isolated, capsys):
    rows = [{"question": "short?"}, {"question": "word " * 60}, {"question": "other " * 70}]
    Path("q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"dataset": "q.jsonl", "end_idx": None, "samples_per_prompt": 1, "max_prompt_tokens": 20}
    run = run_small(**options)
    assert (run.prompts, run.cut_prompts) == (3, 2)
    assert "2 prompts were cut to max_prompt_tokens=20" in capsys.readouterr().out
    assert [row["prompt_cut"] for row in lines("out.diagnostics.jsonl")] == [False, True, True]
    assert json.loads(Path("out.run.json").read_text())["data"]["cut"] == 2
    again = run_small(**options)
    assert (again.new_rows, again.prompts, again.cut_prompts) == (0, 3, 2), "also where nothing was left to do"


def test_words_for_adapters_take_the_columns_that_are_named(isolated):
    rows = [{"problem": "1+1?", "task": "2+2?", "answer": "2"}, {"problem": "3?", "task": "4?", "answer": ""}]
    Path("q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"dataset": "q.jsonl", "end_idx": None, "samples_per_prompt": 1, "max_new_tokens": 2}
    wanted = {
        "deepscaler": ({}, ["1+1?", "3?"]),
        "deepscaler named": ({"prompt_field": "task"}, ["2+2?", "4?"]),
        "deepscaler answers": ({"response_field": "answer"}, ["1+1?"]),
        "generic": ({"prompt_field": "task", "response_field": "answer"}, ["2+2?"]),
        "auto": ({}, ["1+1?"]),
        "auto named": ({"prompt_field": "task"}, ["2+2?", "4?"]),
    }
    for number, (name, (fields, prompts)) in enumerate(wanted.items()):
        run_small(f"{number}.jsonl", dataset_adapter=name.split()[0], **options, **fields)
        assert [row["messages"][0]["content"] for row in lines(f"{number}.jsonl")] == prompts, name


def test_a_run_goes_on_under_the_other_name_of_a_method(isolated):
    run_small(alpha_method="kl_symmetry", trainer_options={"limit_predict_batches": 1})
    assert run_small(alpha_method="kl_symmetric").kept_rows == 6
    assert run_small().new_rows == 0


def test_a_run_that_goes_on_another_day_writes_the_first_days_date(isolated, monkeypatch):
    """A chat template that asks for the date, as Llama's do: the prompts of one data set are of one day."""
    Pretrained("tiny/policy").load().save_pretrained("model")
    tokenizer = load_tokenizer("tiny")
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}\\n{{ m['content'] }}{% endfor %}"
    tokenizer.save_pretrained("model")
    options = {"model_theta": "./model", "model_t": None, "dataset": questions(), "end_idx": None}

    def on(day: str):
        class Calendar(datetime.date):
            @classmethod
            def today(cls) -> datetime.date:
                return datetime.date.fromisoformat(day)

        monkeypatch.setattr("qstar_pl.models.run_date.date", Calendar)

    on("2026-03-01")
    run_small("whole.jsonl", **options)
    run_small("parts.jsonl", **options, trainer_options={"limit_predict_batches": 1})
    on("2026-03-02")
    assert run_small("parts.jsonl", **options).kept_rows == 6
    assert contents(Path("parts.jsonl").absolute()) == contents(Path("whole.jsonl").absolute())
    assert json.loads(Path("parts.run.json").read_text())["date"] == "2026-03-01"
    run_small("later.jsonl", **options)
    later, whole = (json.loads(Path(f"{name}.run.json").read_text())["data"]["prompts"] for name in ("later", "whole"))
    assert later != whole, "another data set begins on its own day"


def test_a_template_that_drops_turns_is_warned_of(isolated, capsys):
    Pretrained("tiny/policy").load().save_pretrained("model")
    tokenizer = load_tokenizer("tiny")
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    tokenizer.save_pretrained("model")
    rows = [
        {"messages": [{"role": r, "content": "a"} for r in ("system", "user")]},
        {"messages": [{"role": "user", "content": "b"}]},
    ]
    Path("m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run_small(model_theta="./model", model_t=None, dataset="m.jsonl", end_idx=None, max_new_tokens=2)
    assert "warning: the chat template leaves the system message out, in 1 of 2 rows" in capsys.readouterr().out


def test_a_stopped_run_goes_on_and_ends_in_the_same_bytes(isolated):
    run_small("a.jsonl", save_diagnostics="tokens")
    for limit in (1, 2):
        run = run_small("b.jsonl", save_diagnostics="tokens", trainer_options={"limit_predict_batches": limit})
        assert not run.complete
        assert not Path("b.jsonl").exists()
    assert run.kept_rows == 6
    last = run_small("b.jsonl", save_diagnostics="tokens")
    assert (last.complete, last.kept_rows, last.new_rows) == (True, 18, 2)
    assert contents(Path("a.jsonl").absolute()) == contents(Path("b.jsonl").absolute())


def test_a_scheduler_may_end_a_run(isolated, monkeypatch):
    """Lightning's own handler takes SIGTERM; the batch at hand is kept."""
    monkeypatch.setattr(Trainer, "received_sigterm", True)
    with pytest.raises(SystemExit) as stopped:
        run_small()
    assert stopped.value.code == 143
    monkeypatch.undo()
    monkeypatch.chdir(isolated)
    assert run_small().kept_rows == 6


def test_a_finished_run_is_left_alone(isolated, monkeypatch):
    run_small()
    before = contents(Path("out.jsonl").absolute())
    monkeypatch.setattr(Pretrained, "load", lambda self: pytest.fail("nothing is to be loaded"))
    run = run_small()
    assert (run.complete, run.rows, run.kept_rows, run.new_rows) == (True, 20, 20, 0)
    assert contents(Path("out.jsonl").absolute()) == before


def test_other_settings_are_refused_with_the_difference(isolated):
    run_small(trainer_options={"limit_predict_batches": 1})
    with pytest.raises(UserError, match=r"unfinished run: temperature 1.0 before, 0.5 now; seed 0 before, 3 now"):
        run_small(temperature=0.5, seed=3)
    assert run_small().kept_rows == 6, "the refusal harmed nothing"
    with pytest.raises(UserError, match="holds another run: samples_per_prompt 2 before, 3 now"):
        run_small(samples_per_prompt=3)
    assert run_small(samples_per_prompt=3, overwrite=True).rows == 30


def test_units_of_another_version_are_not_mixed_with_these(isolated, monkeypatch):
    options = {"refill": True, "batch_size": 1, "samples_per_prompt": 1}
    with monkeypatch.context() as earlier:
        earlier.setattr(plan, "LEAST_UNITS", 8)
        run_small(**options, trainer_options={"limit_predict_batches": 1})
    with pytest.raises(UserError, match=r"unfinished run: units 8 before, 4 now\. Name another output"):
        run_small(**options)


def test_other_data_and_weights_under_the_same_names_are_refused(isolated):
    Path("rows.jsonl").write_text("".join(json.dumps({"q": f"Say {word}."}) + "\n" for word in ("a", "b", "c")))
    options = {"dataset": "rows.jsonl", "prompt_field": "q", "batch_size": 1, "end_idx": None}
    Pretrained("tiny/policy").load().save_pretrained("model")
    Pretrained("tiny/policy").tokenizer().save_pretrained("model")
    run_small(**options, model_theta="./model", trainer_options={"limit_predict_batches": 1})
    Pretrained("tiny/expert").load().save_pretrained("model")
    with pytest.raises(UserError, match=r"unfinished run: model_theta '[0-9a-f]{16}' before, '[0-9a-f]{16}' now"):
        run_small(**options, model_theta="./model")
    Pretrained("tiny/policy").load().save_pretrained("model")
    Path("rows.jsonl").write_text(Path("rows.jsonl").read_text().replace("Say c.", "Say d."))
    with pytest.raises(UserError, match="unfinished run: prompts '"):
        run_small(**options, model_theta="./model")


@pytest.mark.parametrize("where", ["append", "merge"])
def test_a_full_disk_stops_the_run_and_loses_nothing(isolated, monkeypatch, where):
    run_small("reference.jsonl", save_diagnostics="tokens")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if where == "append":
        write, calls = os.write, []

        def fails_later(file: int, data: bytes) -> int:
            calls.append(file)
            if len(calls) > 2:
                raise full
            return write(file, data)

        monkeypatch.setattr("qstar_pl.generation.shard.os.write", fails_later)
        message = r"writing beside out.jsonl failed: No space left on device; 12 of 20 rows are safe in out.jsonl.work"
    else:

        def fails(*_: object) -> None:
            raise full

        monkeypatch.setattr("qstar_pl.generation.merge._TokenTable.add", fails)
        message = "No space left on device; all 20 rows are safe"
    with pytest.raises(UserError, match=message):
        run_small(save_diagnostics="tokens")
    assert not Path("out.jsonl").exists()
    monkeypatch.undo()
    monkeypatch.chdir(isolated)
    run_small(save_diagnostics="tokens")
    assert contents(Path("out.jsonl").absolute()) == contents(Path("reference.jsonl").absolute())


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int], list[int]]:
    folder = tmp_path_factory.mktemp("killed")
    script = Path(__file__).parents[1] / "reference" / "killed_generation.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PL_GLOBAL_SEED": "0"}
    done = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, *json.loads(done.stdout.splitlines()[-1])


def test_killed_twice_torn_and_resumed_is_the_uninterrupted_run(killed):
    folder, kept, _ = killed
    assert 9 <= kept[0] < kept[1] < 80
    assert contents(folder / "killed.jsonl") == contents(folder / "reference.jsonl")
    assert len(lines(folder / "reference.jsonl")) == 80


def test_begun_by_one_process_and_stopped_and_ended_by_two_is_the_run_of_one(killed):
    folder, kept, codes = killed
    assert 21 <= kept[2] < 33 <= kept[3] < 80
    assert codes == [143, 0], "the first process speaks for both"
    assert contents(folder / "ranks.jsonl") == contents(folder / "reference.jsonl")


def test_a_process_may_have_nothing_to_do(killed):
    folder, *_ = killed
    assert contents(folder / "single_ranks.jsonl") == contents(folder / "single.jsonl")
    assert len(lines(folder / "single.jsonl")) == 4


def test_models_that_two_processes_share_give_the_same_bytes(killed):
    """Also where the second process has nothing of its own to do, and answers for company."""
    folder, *_ = killed
    assert contents(folder / "single_shards.jsonl") == contents(folder / "single.jsonl")


def test_real_pair_of_models(real_data, isolated):
    models = real_data / "tiny_models"
    rows = real_data / "gsm8k" / "train_1000.jsonl.gz"
    settings = small_settings(
        model_theta=str(models / "babyllama_a"),
        model_t=str(models / "babyllama_b"),
        dataset=str(rows),
        prompt_field="question",
        prompt_format="raw",
        prompt_template_t="A story. {prompt}",
        end_idx=4,
        max_prompt_tokens=60,
        max_new_tokens=12,
    )
    generate_dataset(settings, "out.jsonl", progress=False)
    for row, numbers in zip(lines("out.jsonl"), lines("out.diagnostics.jsonl"), strict=True):
        assert row["answer"]
        assert numbers["kl_theta_mean"] == pytest.approx(numbers["kl_t_mean"], abs=1e-4)
        assert 0.2 < numbers["alpha_mean"] < 0.8


def test_a_target_with_other_ids_of_the_same_tokens(isolated):
    """The tiny expert under permuted ids gives the answers and numbers of the tiny expert."""
    expert = Pretrained("tiny/expert")
    tokenizer = load_tokenizer("tiny")
    save_renumbered(expert.load(), tokenizer, Path("permuted"), permutation(vocabulary_size(tokenizer), seed=2))
    run_small("plain.jsonl")
    run_small("permuted.jsonl", model_t="./permuted")
    assert lines("plain.jsonl") == lines("permuted.jsonl")
    for plain, other in zip(lines("plain.diagnostics.jsonl"), lines("permuted.diagnostics.jsonl"), strict=True):
        for name in ROW_NUMBERS:
            assert other[name] == pytest.approx(plain[name], rel=1e-3, abs=1e-5), name


def test_devices_and_adapters_by_name():
    assert resolve_device("cpu") == ("cpu", 1)
    for word in ("tpu", "cuda:x"):
        with pytest.raises(UserError, match="device must be auto, cpu, cuda"):
            resolve_device(word)
    assert adapter_of(None) is None
    given = '{"class_path": "PromptResponse", "init_args": {"prompt_field": "q"}}'
    assert adapter_of(given) == PromptResponse("q")
    with pytest.raises(UserError, match="PromptResponze"):
        adapter_of("PromptResponze")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_run_into_the_same_file_is_refused_and_harms_nothing(isolated, overwrite):
    """Also where it was told to begin anew; the first one goes on, and ends with what it would have had."""
    run_small("alone.jsonl")
    run_small(trainer_options={"limit_predict_batches": 2})
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        before = contents_of_work()
        with pytest.raises(UserError, match=rf"^output must be a file that no other .* where process {holder.pid} on"):
            run_small(overwrite=overwrite)
        assert contents_of_work() == before
    finally:
        holder.kill()
        holder.wait()
    run_small(overwrite=overwrite)
    assert contents(Path("out.jsonl").absolute()).keys() == contents(Path("alone.jsonl").absolute()).keys()
    assert Path("out.jsonl").read_bytes() == Path("alone.jsonl").read_bytes()
    assert not list(Path().glob(".*")), "nothing is left"


HOLD = """
import time
from pathlib import Path
from qstar_pl.locks import Lock
lock = Lock.acquire(Path(".out.jsonl.lock"), "")
print("held", flush=True)
time.sleep(600)
"""


def contents_of_work():
    return {path.name: path.read_bytes() for path in Path("out.jsonl.work").iterdir()}


@pytest.mark.parametrize("lost_after", [2, 4])  # of 4 batches
def test_a_run_that_lost_its_output_ends_and_writes_no_more_rows(isolated, monkeypatch, lost_after):
    """Another machine's run takes the lock, as after this process was halted for minutes."""
    append, written = Shard.append, []

    def append_and_lose(self, batch, rows, records):
        append(self, batch, rows, records)
        written.append(batch)
        if len(written) == lost_after:
            lock = Path(".out.jsonl.lock")
            lock.write_text(json.dumps({**json.loads(lock.read_text()), "host": "elsewhere", "token": "another"}))

    monkeypatch.setattr(Shard, "append", append_and_lose)
    with pytest.raises(UserError, match=r"^another run has taken over out.jsonl"):
        run_small()
    assert not Path("out.jsonl").exists()
    (shard,) = Path("out.jsonl.work").glob("shard*")
    assert {line["batch"] for line in lines(shard)} == set(written)
    assert len(written) == lost_after
    assert "elsewhere" in Path(".out.jsonl.lock").read_text(), "it is the other's"


def test_speculative_sampling_writes_the_bytes_of_plain_sampling(tmp_path: Path) -> None:
    """Drafting changes how fast answers come, and no byte of any of them."""
    plain = {"alpha_method": None, "max_new_tokens": None}
    samplers = GeometricSampler(max_new_tokens=9), SpeculativeSampler(max_new_tokens=9, mode="always", k=2)
    runs = [run_small(tmp_path / f"{i}.jsonl", sampler=one, **plain) for i, one in enumerate(samplers)]
    texts = [(tmp_path / f"{i}.jsonl").read_bytes() for i in range(2)]
    assert texts[0] == texts[1]
    assert runs[0].drafting is None
    assert "of the drafts accepted" in (runs[1].drafting or "")
