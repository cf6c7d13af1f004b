"""The decode loop on Markov tables, where every distribution is known beforehand."""

from dataclasses import dataclass, fields

import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch, random_model
from torch import Tensor

from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.models import LanguageModel, Pretrained
from qstar_pl.qstar import (
    AlphaStrategy,
    EntropyAlpha,
    ESSBalanceAlpha,
    FixedAlpha,
    KLSymmetricAlpha,
    SNRAlpha,
    ess,
    geometric_mixture,
    kl_divergence,
    solve_kl_symmetry,
)
from qstar_pl.rollout import Alone, Geometric, Truncation, absent, decode, rows
from qstar_pl.rollout.law import Law
from qstar_pl.rollout.pace import Pace
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.types import Rollout

VOCAB = 7


def table(seed: int, spread: float = 1.5) -> Tensor:
    return torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * spread


@dataclass(frozen=True)
class Setting:
    policy: TableModel
    target: TableModel

    def draw(self, law: Law, **options: object) -> Rollout:
        given = {"samples": 8, "seed": 3, "max_new_tokens": 12, **options}
        return decode(prompt_batch([[3, 4], [5], [6]]), self.policy, self.target, law, **given)  # type: ignore[arg-type]


@pytest.fixture
def setting() -> Setting:
    return Setting(TableModel(table(0), eos=(1,)), TableModel(table(1), eos=(2,)))


def previous(rollout: Rollout) -> Tensor:
    first = rollout.prompts.prompt_ids[rollout.prompt_index, -1:]
    return torch.cat([first, rollout.completion_ids[:, :-1]], dim=1)


def test_every_column_of_the_mixture_is_what_the_tables_say(setting: Setting) -> None:
    rollout = setting.draw(Geometric(KLSymmetricAlpha(tol=1e-9)))
    mask, last = rollout.completion_mask, previous(rollout)
    policy, target = setting.policy.table[last].log_softmax(-1), setting.target.table[last].log_softmax(-1)
    alpha = solve_kl_symmetry(policy, target, tol=1e-9).alpha
    mixture = geometric_mixture(policy, target, alpha)

    def token(logprobs: Tensor) -> Tensor:
        return logprobs.gather(-1, rollout.completion_ids.unsqueeze(-1)).squeeze(-1)

    expected = {
        "behavior_logprobs": token(mixture.logprobs),
        "policy_logprobs": token(policy),
        "target_logprobs": token(target),
        "alpha": alpha,
        "log_z": mixture.log_z,
        "ess_policy": ess(policy, mixture.logprobs),
        "ess_target": ess(target, mixture.logprobs),
        "kl_behavior_policy": kl_divergence(mixture.logprobs, policy),
        "kl_behavior_target": kl_divergence(mixture.logprobs, target),
        "uncovered_mass": torch.zeros_like(alpha),
    }
    assert set(expected) == set(COLUMNS)
    for name, values in expected.items():
        column = getattr(rollout, name)
        torch.testing.assert_close(column[mask], values[mask], rtol=1e-6, atol=1e-7, msg=lambda m, n=name: f"{n}: {m}")
        assert not column[~mask].any()
    # The identity behind importance weights per token: log π_θ/q = (1 − α) ℓ + log Z.
    ratio = (1 - alpha) * (rollout.policy_logprobs - rollout.target_logprobs) + mixture.log_z
    torch.testing.assert_close((rollout.policy_logprobs - rollout.behavior_logprobs)[mask], ratio[mask])


def test_an_answer_ends_at_the_policys_eos_and_nothing_after_it_counts(setting: Setting) -> None:
    rollout = setting.draw(Geometric(KLSymmetricAlpha()))
    ids, mask, ended = rollout.completion_ids, rollout.completion_mask, rollout.ended_mask
    assert ended.any()
    assert not ended.all()
    for row in range(len(rollout)):
        length = int(mask[row].sum())
        assert mask[row, :length].all()  # no holes
        assert (ids[row, : length - 1] != 1).all()
        assert bool(ids[row, length - 1] == 1) == bool(ended[row])
        assert bool(ended[row]) or length == ids.shape[1]
        assert not ids[row, length:].any()
    assert (ids[mask] == 2).any()  # the target's EOS is a token like any other


def test_decoding_stops_when_all_rows_have_ended() -> None:
    always_ends = torch.full((VOCAB, VOCAB), -30.0, dtype=torch.float64)
    always_ends[:, 1], always_ends[3, 1], always_ends[3, 4] = 30.0, -30.0, 30.0
    setting = Setting(TableModel(always_ends, eos=(1,)), TableModel(table(1)))
    prompts = prompt_batch([[3], [6]])
    rollout = decode(prompts, *vars(setting).values(), Alone("policy"), samples=2, seed=0, max_new_tokens=50)
    assert rollout.completion_ids.tolist() == [[4, 1], [4, 1], [1, 0], [1, 0]]
    assert rollout.completion_mask.tolist() == [[True, True], [True, True], [True, False], [True, False]]
    assert (setting.policy.steps, setting.target.steps) == (1, 0)
    longest = setting.draw(Alone("target"), max_new_tokens=4)
    assert longest.completion_ids.shape == (24, 4)
    assert setting.target.steps == 3  # nothing is asked for after the last token


def test_ended_rows_leave_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models read at most 8/7 of the live tokens, and four rows; nothing that is written changes."""
    read: list[int] = []
    models = [LanguageModel(random_model(vocab=VOCAB, seed=seed, scale=0.3).float()) for seed in (0, 4)]
    prompts = prompt_batch([[3, 4], [5], [6, 2, 3, 3]], pads=2)
    step = models[0].reader.step

    def counted(ids: Tensor, *given: object) -> object:
        read.append(len(ids))
        return step(ids, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(models[0].reader, "step", counted)

    def draw() -> Rollout:
        read.clear()
        return decode(prompts, *models, Geometric(FixedAlpha(0.5)), samples=16, seed=3, max_new_tokens=24)

    rollout = draw()
    live = rollout.completion_mask[:, 1:].sum(0)[: len(read)].tolist()
    assert live[0] > 2 * live[len(live) // 2] > 0
    assert all(rows >= max(now, 4) for rows, now in zip(read, live, strict=True))
    assert all(rows <= max(now * 8 / 7, 4.99) for rows, now in zip(read, live, strict=True))
    monkeypatch.setattr(rows, "CROWDED", 0)
    whole = draw()
    assert set(read) == {48}
    assert torch.equal(whole.completion_ids, rollout.completion_ids)
    for name in COLUMNS:
        torch.testing.assert_close(getattr(whole, name), getattr(rollout, name), rtol=0, atol=1e-5)


def test_several_eos_ids(setting: Setting) -> None:
    rollout = Setting(TableModel(table(0), eos=(1, 5)), setting.target).draw(Alone("policy"))
    final = {int(row[mask][-1]) for row, mask in zip(rollout.completion_ids, rollout.completion_mask, strict=True)}
    assert {1, 5} <= final


@pytest.mark.parametrize(("alpha", "role"), [(1.0, "policy"), (0.0, "target")])
@pytest.mark.parametrize("truncation", [Truncation(), Truncation(0.7, 5, 0.9)])
def test_the_ends_of_the_mixture_are_the_models_themselves(
    setting: Setting, alpha: float, role: str, truncation: Truncation
) -> None:
    mixed = setting.draw(Geometric(FixedAlpha(alpha)), truncation=truncation)
    alone = setting.draw(Alone(role), truncation=truncation)
    for name in ("completion_ids", "completion_mask", "ended_mask", "behavior_logprobs", "alpha", "log_z"):
        assert torch.equal(getattr(mixed, name), getattr(alone, name)), name
    # The model that did not take part filled its columns from the finished answers.
    for name in COLUMNS:
        torch.testing.assert_close(getattr(mixed, name), getattr(alone, name), rtol=1e-9, atol=1e-9)


def test_the_absent_model_reads_the_answers_once_and_takes_no_steps(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = setting.draw(Alone("policy"))
    assert setting.target.steps == 0
    assert setting.target.passes == 1
    # In chunks of five of the 24 rows the columns are the same.
    monkeypatch.setattr("qstar_pl.rollout.absent.MAX_ELEMENTS", 5 * whole.completion_ids.shape[1] * VOCAB)
    chunked = setting.draw(Alone("policy"))
    assert setting.target.passes == 6
    for name in COLUMNS:
        torch.testing.assert_close(getattr(chunked, name), getattr(whole, name), rtol=1e-12, atol=1e-14)


def test_the_absent_model_reads_short_answers_together(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks that are as long as their own answers, and what is written does not depend on them."""
    whole = setting.draw(Alone("policy"))
    shapes: list[tuple[int, ...]] = []
    read = TableModel.completion_logits

    def seen(model: TableModel, *answers: object) -> Tensor:
        shapes.append(tuple(answers[2].shape))  # type: ignore[attr-defined]
        return read(model, *answers)  # type: ignore[arg-type]

    monkeypatch.setattr(TableModel, "completion_logits", seen)
    monkeypatch.setattr(absent, "MAX_ELEMENTS", 5 * whole.completion_ids.shape[1] * VOCAB)
    chunked = setting.draw(Alone("policy"))
    lengths = whole.completion_mask.sum(-1).sort().values.split(5)
    assert shapes[::2] == shapes[1::2] == [(len(part), int(part.max())) for part in lengths]
    for name in COLUMNS:
        torch.testing.assert_close(getattr(chunked, name), getattr(whole, name), rtol=0, atol=1e-12)


def test_truncation_is_told_by_the_columns(setting: Setting) -> None:
    rollout = setting.draw(Geometric(FixedAlpha(0.5)), truncation=Truncation(top_k=3))
    mask, last = rollout.completion_mask, previous(rollout)
    policy, target = setting.policy.table[last].log_softmax(-1), setting.target.table[last].log_softmax(-1)
    law = Truncation(top_k=3)(geometric_mixture(policy, target, 0.5).logprobs)
    outside = (policy.exp() * (law == -torch.inf)).sum(-1)
    torch.testing.assert_close(rollout.uncovered_mass[mask], outside[mask])
    assert (rollout.uncovered_mass[mask] > 0).all()
    assert not rollout.ess_policy.any()
    assert not rollout.ess_target.any()
    torch.testing.assert_close(rollout.kl_behavior_policy[mask], kl_divergence(law, policy)[mask])


def test_an_ended_row_cannot_fail_for_want_of_a_common_support() -> None:
    policy, target = table(0), table(1)
    policy[0, 3:] = policy[1, 3:] = -torch.inf  # after EOS (and after the filler) the supports are disjoint
    target[0, :3] = target[1, :3] = -torch.inf
    policy[3, 1] = target[3, 1] = 30.0  # the first prompt ends at once
    models = TableModel(policy, eos=(1,)), TableModel(target)
    prompts = prompt_batch([[3], [6]])
    rollout = decode(prompts, *models, Geometric(KLSymmetricAlpha()), samples=1, seed=1, max_new_tokens=2)
    assert rollout.completion_mask.tolist() == [[True, False], [True, True]]
    with pytest.raises(UserError, match="disjoint"):
        decode(prompt_batch([[1]]), *models, Geometric(KLSymmetricAlpha()), samples=1, seed=0, max_new_tokens=2)


def test_a_diverged_model_is_not_sampled_from(setting: Setting) -> None:
    setting.policy.table[4, 2] = torch.nan
    with pytest.raises(NonFiniteError, match="NaN"):
        setting.draw(Alone("policy"), samples=64)


def test_another_vocabulary_is_one_line(setting: Setting) -> None:
    other = Setting(setting.policy, TableModel(torch.zeros(9, 9)))
    with pytest.raises(UserError, match="target must share the policy's vocabulary of 7 tokens, got 9"):
        other.draw(Alone("policy"))


def test_rows_of_one_prompt_lie_side_by_side_and_seeds_matter(setting: Setting) -> None:
    rollout = setting.draw(Geometric(FixedAlpha(0.5)))
    assert rollout.prompt_index.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert rollout.info.exact
    assert rollout.info.seed == 3
    again = setting.draw(Geometric(FixedAlpha(0.5)))
    other = setting.draw(Geometric(FixedAlpha(0.5)), seed=4)
    assert torch.equal(again.completion_ids, rollout.completion_ids)
    assert again.completion_ids.shape != other.completion_ids.shape or not torch.equal(
        again.completion_ids, other.completion_ids
    )


LAWS = {
    **{type(alpha).__name__: Geometric(alpha) for alpha in (KLSymmetricAlpha(), ESSBalanceAlpha(), SNRAlpha())},
    **{type(alpha).__name__: Geometric(alpha) for alpha in (EntropyAlpha(), FixedAlpha(0.3))},
    **{role: Alone(role) for role in ("policy", "target")},
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("truncation", [Truncation(), Truncation(0.7, 5, 0.9)], ids=["whole", "cut"])
def test_looking_less_often_changes_nothing(setting: Setting, law: str, truncation: Truncation) -> None:
    """Rows that have ended are computed along, leave later, and nothing of them is written."""
    setting.policy.table[3:, 2] = setting.target.table[2:5, 6] = -torch.inf  # supports differ in some contexts
    at_once = setting.draw(LAWS[law], truncation=truncation)
    seldom = setting.draw(LAWS[law], truncation=truncation, pace=Pace(look_every=5))
    for name in ("completion_ids", "completion_mask", "ended_mask", "behavior_logprobs", "alpha", "log_z"):
        assert torch.equal(getattr(at_once, name), getattr(seldom, name)), name
    for name in COLUMNS:
        torch.testing.assert_close(getattr(at_once, name), getattr(seldom, name), rtol=0, atol=1e-12)


def test_rows_leave_the_batch_where_somebody_looks() -> None:
    models = [LanguageModel(random_model(vocab=VOCAB, seed=seed, scale=0.3).float()) for seed in (0, 4)]
    prompts = prompt_batch([[3, 4], [5], [6, 2, 3, 3]], pads=2)

    def draw(pace: Pace) -> Rollout:
        return decode(prompts, *models, Geometric(KLSymmetricAlpha()), samples=8, seed=3, max_new_tokens=24, pace=pace)

    at_once, seldom = draw(Pace()), draw(Pace(look_every=4))
    assert at_once.ended_mask.any()
    for name in ("completion_ids", "completion_mask", "ended_mask", "behavior_logprobs", "alpha", "log_z"):
        assert torch.equal(getattr(at_once, name), getattr(seldom, name)), name


@pytest.mark.parametrize(
    "alpha", [KLSymmetricAlpha(), ESSBalanceAlpha(), SNRAlpha()], ids=lambda one: type(one).__name__
)
@pytest.mark.filterwarnings("error")  # of contexts that are not solved
def test_trained_models_are_solved_where_nobody_looks(alpha: AlphaStrategy) -> None:
    """Contexts in which both are nearly certain of different tokens take the most passes."""
    models = [LanguageModel(Pretrained(name).load()) for name in ("tiny/policy", "tiny/expert")]
    tokenizer = Pretrained("tiny/policy").tokenizer()
    asked = (
        "\n\nHuman: Hi! how does the gori sound?\n\nAssistant:",
        "\n\nHuman: Which colour does the zulo have?\n\nAssistant:",
    )
    prompts = prompt_batch([tokenizer(text)["input_ids"] for text in asked])

    def draw(pace: Pace) -> Rollout:
        return decode(prompts, *models, Geometric(alpha), samples=16, seed=3, max_new_tokens=24, pace=pace)

    at_once, seldom = draw(Pace()), draw(Pace(look_every=16))
    for name in ("completion_ids", "alpha", "log_z"):
        assert torch.equal(getattr(at_once, name), getattr(seldom, name)), name


def test_errors_come_at_the_next_look_and_say_where(setting: Setting) -> None:
    policy, target = table(0), table(1)
    policy[4, :] = target[4, :] = -30.0
    policy[:, 4] = target[:, 4] = 30.0  # every row goes on to token 4
    policy[4, :3], target[4, 3:] = -torch.inf, -torch.inf
    models = TableModel(policy), TableModel(target)
    options = {"samples": 2, "seed": 0, "max_new_tokens": 20, "pace": Pace(look_every=3)}
    with pytest.raises(UserError, match=r"disjoint supports in row \(0, 1\), \(1, 1\);"):
        decode(prompt_batch([[3]]), *models, Geometric(KLSymmetricAlpha()), **options)  # type: ignore[arg-type]
    assert models[0].steps == 2
    with pytest.raises(UserError, match=r"disjoint supports in row \(0, 1\), \(1, 1\);"):  # also behind the last look
        decode(prompt_batch([[3]]), *models, Geometric(KLSymmetricAlpha()), **options | {"max_new_tokens": 2})  # type: ignore[arg-type]
    models[0].table[4, 2] = torch.nan
    with pytest.raises(NonFiniteError, match=r"NaN or infinity while decoding \(row, position\) \(0, 1\)"):
        decode(prompt_batch([[3]]), *models, Alone("policy"), **options)  # type: ignore[arg-type]
    # An ended row may go on as it likes.
    policy[4, 1], models[1].table[4] = 30.0, models[1].table[3]
    ending = TableModel(policy, eos=(4,))
    rollout = decode(prompt_batch([[3]]), ending, models[1], Geometric(FixedAlpha()), **options)  # type: ignore[arg-type]
    assert rollout.completion_ids.tolist() == [[4], [4]]


def test_no_gradient_is_recorded() -> None:
    model = TableModel(table(0).requires_grad_(), eos=(1,))
    rollout = decode(prompt_batch([[3]]), model, model, Alone("policy"), samples=2, seed=0, max_new_tokens=3)
    tensors = [getattr(rollout, f.name) for f in fields(rollout)]
    assert not any(t.requires_grad for t in tensors if isinstance(t, Tensor))
    # no_grad and not inference_mode: a loss multiplies these tensors with ones that have gradients.
    assert not any(t.is_inference() for t in tensors if isinstance(t, Tensor))
