import pytest

from qstar_pl.errors import UserError
from qstar_pl.generation.plan import plan_batches
from qstar_pl.generation.shard import Shard
from qstar_pl.generation.workspace import Workspace, replace_file

PLAN = plan_batches([1, 1, 1], batch_size=1, samples=1)


def test_unfinished_run_is_recognized(tmp_path):
    workspace = Workspace(tmp_path / "a" / "out.jsonl")
    asked = {"settings": {"seed": 0, "top_p": None}, "data": {"rows": 3}}
    workspace.check(asked)
    workspace.remember(asked)
    workspace.remember({"models": {"model_theta": "abc"}})
    workspace.check(asked)
    workspace.check({"settings": {"seed": 1}})  # nothing is there yet that could be lost
    shard = Shard(workspace.shard(0))
    shard.append(0, [0], [{}])
    shard.close()
    with pytest.raises(UserError, match=r"unfinished run: seed 0 before, 1 now; rows 3 before, 4 now.*--overwrite"):
        workspace.check({"settings": {"seed": 1, "top_p": None}, "data": {"rows": 4}})
    with pytest.raises(UserError, match="model_theta 'abc' before, 'abd' now"):
        workspace.check({"models": {"model_theta": "abd"}})
    workspace.clear()
    workspace.check({"settings": {"seed": 1}})


def test_a_file_of_somebody_else_is_not_touched(tmp_path):
    workspace = Workspace(tmp_path / "out.jsonl")
    workspace.output.write_text("mine")
    with pytest.raises(UserError, match="did not write"):
        workspace.check({"settings": {}})
    assert workspace.output.read_text() == "mine"


@pytest.mark.parametrize("name", ["out.diagnostics.jsonl", "out.tokens.parquet", "out.run.json", "out.jsonl.work/mine"])
def test_nor_are_its_neighbors(tmp_path, name):
    workspace, file = Workspace(tmp_path / "out.jsonl"), tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("[1]")
    with pytest.raises(
        UserError, match=f"output must have a place of its own, .*{name.split('/')[0]} would be replaced"
    ):
        workspace.check({"settings": {}})
    assert file.read_text() == "[1]"


def test_what_an_earlier_run_has_left_beside_is_not_in_the_way(tmp_path):
    workspace = Workspace(tmp_path / "out.jsonl")
    workspace.diagnostics.write_text("{}")
    workspace.run.write_text('{"format": 2}')  # the rows were deleted by hand
    workspace.check({"settings": {}})
    workspace.work.mkdir()
    (workspace.work / "shard-00000.jsonl").write_text("")
    (workspace.work / "run.json.part").write_text("{")
    workspace.check({"settings": {}})


def test_a_finished_output_that_was_cut_is_not_whole(tmp_path):
    workspace = Workspace(tmp_path / "out.jsonl")
    workspace.output.write_text("{}\n{}\n")
    workspace.check_whole(2)
    with pytest.raises(UserError, match=r"output must be as its run has left it, with 6 rows, got .*out\.jsonl with 2"):
        workspace.check_whole(6)


def test_the_dataset_is_never_the_output(tmp_path):
    workspace = Workspace(tmp_path / "out.jsonl")
    workspace.check_apart(str(workspace.output))  # nothing is there
    workspace.diagnostics.write_text("{}")
    link = tmp_path / "link.jsonl"
    link.symlink_to(workspace.diagnostics)
    for read in (workspace.diagnostics, link):
        with pytest.raises(UserError, match="output must be none of the files that are read, got"):
            workspace.check_apart(str(read))
    workspace.check_apart("tiny")


def test_shards_of_any_number_of_processes_are_put_together(tmp_path):
    workspace = Workspace(tmp_path / "out.jsonl")
    workspace.remember({})
    for rank, batches in ((0, [0]), (3, [2, 0])):
        shard = Shard(workspace.shard(rank))
        for batch in batches:
            shard.append(batch, [batch], [{"rank": rank}])
        shard.close()
    with workspace.shard(3).open("ab") as file:
        file.write(b'{"batch": 1, "ro')
    assert workspace.repair(PLAN) == 16
    found = workspace.finished(PLAN)
    assert sorted(found) == [0, 2]
    assert found[0][0][1].shard == workspace.shard(0)


def test_shards_of_unknown_settings_are_not_taken_over(tmp_path):
    workspace = Workspace(tmp_path / "out.jsonl")
    workspace.remember({"settings": {"seed": 0}})
    shard = Shard(workspace.shard(0))
    shard.append(0, [0], [{}])
    shard.close()
    workspace.remember({"models": {}})
    assert list(workspace.finished(PLAN)) == [0]
    (workspace.work / "run.json").unlink()  # `clear` was killed half-way
    workspace.remember({"settings": {"seed": 1}})
    assert list(workspace.finished(PLAN)) == []


def test_damage_is_said(tmp_path):
    workspace = Workspace(tmp_path / "out.jsonl")
    workspace.remember({})
    (workspace.work / "run.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        workspace.check({})


def test_replacing_is_whole(tmp_path):
    replace_file(tmp_path / "file", b"one")
    replace_file(tmp_path / "file", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"two"
