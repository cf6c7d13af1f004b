import pyarrow
import pyarrow.parquet
import pytest

from qstar_pl.data.reading import read_rows
from qstar_pl.errors import UserError


def write(table, file):
    if file.suffix == ".parquet":
        pyarrow.parquet.write_table(table, file)
        return
    form = pyarrow.ipc.new_file if "file" in file.name else pyarrow.ipc.new_stream
    with form(file, table.schema) as writer:
        writer.write_table(table)


def twice(name):
    return pyarrow.StructArray.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], names=[name, name])


NAMES = ["x.parquet", "stream.arrow", "file.arrow"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_two_columns_is_refused(tmp_path, name):
    columns = [pyarrow.array([text]) for text in "abc"]
    write(pyarrow.Table.from_arrays(columns, names=["prompt", "answer", "prompt"]), tmp_path / name)
    with pytest.raises(UserError) as error:
        list(read_rows(str(tmp_path / name)))
    assert str(error.value) == f"{tmp_path / name}: must name each column once, got prompt, answer, prompt"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("listed", [False, True])
def test_a_name_of_two_fields_of_an_object_is_refused(tmp_path, name, listed):
    column = pyarrow.ListArray.from_arrays([0, 1], twice("role")) if listed else twice("role")
    write(pyarrow.Table.from_arrays([column], names=["turns"]), tmp_path / name)
    within = r"turns\.\w+" if listed else "turns"
    with pytest.raises(UserError, match=rf"{name}: must name each column within {within} once, got role, role"):
        list(read_rows(str(tmp_path / name)))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_may_stand_in_several_objects(tmp_path, name):
    row = {"a": {"a": [{"a": 1}]}, "b": {"a": "x"}, "c": [1, 2]}
    write(pyarrow.Table.from_pylist([row]), tmp_path / name)
    assert [found for _, found in read_rows(str(tmp_path / name))] == [row]
