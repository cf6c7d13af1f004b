from qstar_pl.data.adapters.table import Kind, Table, kind


def test_kinds():
    said = [{"role": "user", "content": "x"}]
    values = [True, 3, 0.5, "x", said, [1], {"a": 1}, None, "", [], {}]
    kinds = [Kind.FLAG, Kind.NUMBER, Kind.NUMBER, Kind.TEXT, Kind.DIALOGUE, Kind.LIST, Kind.OBJECT, *[None] * 4]
    assert [kind(value) for value in values] == kinds
    assert kind('[{"role": "user", "content": "x"}]') is Kind.DIALOGUE
    assert kind("[{'role': 'user', 'content': 'as pandas writes it'}]") is Kind.DIALOGUE
    assert kind({"role": "user", "content": "x"}) is Kind.DIALOGUE
    assert kind("[{'role': __import__('os').getcwd()}]") is kind("[{not a list") is Kind.TEXT
    assert kind('[{"role": "user"') is kind("[1, 2]") is Kind.TEXT


def test_most_cells_decide():
    table = Table([{"a": None}, {"a": 3, "b": "x"}, {"a": "x", "b": ""}, {"a": "y"}])
    assert table.columns == ("a", "b")
    assert (table.kind("a"), table.kind("b"), table.kind("c")) == (Kind.TEXT, Kind.TEXT, None)
    assert table.first(("c", "b", "a"), Kind.TEXT) == "b"
    assert table.holds(Kind.TEXT, Kind.NUMBER, of=("a", "b"))
    assert not table.holds(of=("a", "c"))
    assert table.share("a", lambda value: isinstance(value, str)) == 2 / 3
    assert table.share("c", bool) == 0
