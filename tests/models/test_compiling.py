import pytest

from qstar_pl.errors import UserError
from qstar_pl.models.compiling import Compiling, backend_of, bucket, compiling, compiling_now, copied


def test_buckets_waste_no_more_than_a_third() -> None:
    assert [bucket(n) for n in range(1, 26)] == [
        *(1, 2, 3, 4, 6, 6, 8, 8, 12, 12, 12, 12, 16, 16, 16, 16, 24, 24, 24, 24, 24, 24, 24, 24, 32),
    ]
    assert bucket(5, least=64) == 64
    assert bucket(65, least=64) == 96
    for n in range(1, 3000):
        assert n <= bucket(n) < 1.5 * n + 1
        assert bucket(bucket(n)) == bucket(n)


def test_what_the_option_means() -> None:
    assert backend_of(False) is None
    assert backend_of(True) == "inductor"
    assert backend_of("aot_eager") == "aot_eager"
    with pytest.raises(UserError, match=r"^torch_compile must be true, false or a backend .*inductor.*, got gcc$"):
        backend_of("gcc")


def test_the_context_ends_with_its_block() -> None:
    how = Compiling("eager", 4)
    with compiling(how):
        assert compiling_now() is how
        with compiling(None):
            assert compiling_now() is None
    assert compiling_now() is None


def test_a_copied_function_is_the_same_with_code_of_its_own() -> None:
    outer = 3

    def function(x: int, y: int = 2) -> int:
        return outer * x + y

    other = copied(function)
    assert other(5) == function(5) == 17
    assert other.__code__ is not function.__code__
