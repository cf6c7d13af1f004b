import torch

from qstar_pl.rollout.streams import row_seed, row_uniforms


def test_a_row_has_its_own_numbers_whatever_shares_its_batch() -> None:
    keys = torch.tensor([11, 2**62, 13])
    together = row_uniforms(keys, samples=3, count=20, seed=5)
    assert together.shape == (9, 20)
    assert together.dtype == torch.float64
    for prompt, key in enumerate(keys):
        alone = row_uniforms(key[None], samples=3, count=20, seed=5)
        assert torch.equal(together[3 * prompt : 3 * prompt + 3], alone)
    # More samples and longer answers begin with the fewer and the shorter.
    assert torch.equal(row_uniforms(keys[:1], samples=5, count=40, seed=5)[:3, :20], together[:3])


def test_streams_differ_by_seed_key_sample_and_purpose() -> None:
    seeds = {
        row_seed(seed, key, sample, purpose)
        for seed in range(5)
        for key in range(5)
        for sample in range(5)
        for purpose in ("token", "draft", "accept")
    }
    assert len(seeds) == 375
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len({row_seed(1, 23, 4), row_seed(12, 3, 4), row_seed(1, 2, 34)}) == 3  # fields are not run together


def test_the_mix_is_stable() -> None:
    """A changed mix would silently change every published run."""
    assert row_seed(0, 0, 0) == 8152566730505093769
    assert row_seed(7, 123456789, 2, "draft") == 3800928611956069314


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = row_uniforms(torch.tensor([3]), 2, 4, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert torch.equal(row_uniforms(torch.tensor([3]), 2, 4, seed=1), first)


def test_numbers_are_uniform() -> None:
    numbers = row_uniforms(torch.arange(400), 5, 50, seed=3)
    assert 0 <= numbers.min() < numbers.max() < 1
    counts = torch.histc(numbers, 20, 0, 1)
    chi_square = ((counts - 5000) ** 2 / 5000).sum()
    assert chi_square < 60  # 19 degrees of freedom: p < 1e-6 beyond 63
    # First tokens of neighboring rows are as independent as any.
    correlation = torch.corrcoef(torch.stack([numbers[:-1, 0], numbers[1:, 0]]))[0, 1]
    assert correlation.abs() < 0.1


def test_no_prompts() -> None:
    assert row_uniforms(torch.empty(0, dtype=torch.int64), 2, 4, seed=1).shape == (0, 4)
