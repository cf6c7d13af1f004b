"""A file without a name reaches processes that are not forked, and still leaves nothing behind."""

import gc
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor

import pyarrow
import pytest

from qstar_pl.data.storage import arrow_file
from qstar_pl.data.storage.arrow_file import ArrowFile, ArrowWriter

SCHEMA = pyarrow.schema([("n", pyarrow.int64())])


@pytest.fixture(params=["read", "mapped"])
def unnamed(request, tmp_path, monkeypatch):
    if request.param == "mapped":
        monkeypatch.setattr(arrow_file, "MAPPED", 0)
    writer = ArrowWriter(tmp_path, SCHEMA)
    writer.rows({"n": range(5)})
    opened = [writer.finish({"a": 1}, None)]
    assert list(tmp_path.iterdir()) == []
    return opened  # the one reference to it


def test_copies_read_the_same_and_nothing_stays(unnamed, tmp_path):
    first, second = (pickle.loads(pickle.dumps(unnamed[0])) for _ in range(2))
    assert len(list(tmp_path.iterdir())) == 1
    for copy in (first, second, pickle.loads(pickle.dumps(first))):
        assert (copy.facts, copy.column("n").tolist()) == ({"a": 1}, [0, 1, 2, 3, 4])
    unnamed.clear()
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert first.column("n").tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("unnamed", ["mapped"], indirect=True)  # one, since a process takes long to start
def test_a_spawned_process_reads_it(unnamed, tmp_path):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # fails where a `Pool` would wait
        assert pool.submit(ArrowFile.column, unnamed[0], "n").result(120).tolist() == [0, 1, 2, 3, 4]
    unnamed.clear()
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_forked_process_does_not_take_it_away(unnamed, tmp_path):
    pickle.dumps(unnamed[0])
    child = os.fork()
    if child == 0:
        try:
            unnamed.clear()
            gc.collect()
        finally:
            os._exit(len(list(tmp_path.iterdir())))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_copy_that_fails_leaves_no_part(unnamed, tmp_path):
    unnamed[0]._content = None  # nothing that can be written
    with pytest.raises(TypeError):
        pickle.dumps(unnamed[0])
    assert list(tmp_path.iterdir()) == []
