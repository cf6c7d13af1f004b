"""The processor in `generate` against the project's own law, and against the float64 enumeration of every answer."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import enumeration as exact
from reference.tiny_models import prompt_batch, random_model
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel

from qstar_pl.errors import UserError
from qstar_pl.integrations.transformers import QStarLogitsProcessor
from qstar_pl.models import LanguageModel
from qstar_pl.qstar import AlphaStrategy, EntropyAlpha, ESSBalanceAlpha, FixedAlpha, KLSymmetricAlpha, SNRAlpha
from qstar_pl.rollout import POLICY, TARGET, Geometric, Mixed
from qstar_pl.samplers import GeometricSampler

PROMPTS = [[3, 4, 5, 6], [7, 8], [9, 10, 3, 5, 6, 4, 8]]
STRATEGIES = [KLSymmetricAlpha(), FixedAlpha(0.3), EntropyAlpha(), ESSBalanceAlpha(), SNRAlpha()]


@pytest.fixture(scope="module")
def pair() -> tuple[PreTrainedModel, PreTrainedModel]:
    return random_model(seed=0).float(), random_model(seed=1, scale=0.8).float()


def generate(model: PreTrainedModel, processor: QStarLogitsProcessor, prompts: list[list[int]], **options: Any) -> Any:
    batch = prompt_batch(prompts)
    torch.manual_seed(options.pop("seed", 0))
    given = {"do_sample": True, "top_k": 0, "max_new_tokens": 8, "pad_token_id": 0} | options
    return model.generate(
        input_ids=batch.prompt_ids,
        attention_mask=batch.prompt_mask.long(),
        logits_processor=[processor],
        output_scores=True,
        return_dict_in_generate=True,
        **given,
    )


def law(
    policy: LanguageModel, target: LanguageModel, prompts: list[list[int]], answers: Tensor, alpha: AlphaStrategy
) -> tuple[Mixed, Tensor, Tensor]:
    """The project's own q along answers [rows, time], teacher-forced, and both models' log-probabilities."""
    batch = prompt_batch(prompts)
    index = torch.arange(len(prompts)).repeat_interleave(len(answers) // len(prompts))
    with torch.no_grad():
        said = [
            model.completion_logits(batch, index, answers, torch.ones_like(answers, dtype=torch.bool)).log_softmax(-1)
            for model in (policy, target)
        ]
    mixed = Geometric(alpha)(dict(zip((POLICY, TARGET), (one.flatten(0, 1) for one in said), strict=True)))
    return mixed, *said


def assert_same_law(output: Any, prompts: list[list[int]], policy: Any, target: Any, alpha: AlphaStrategy) -> Mixed:
    """Every step's scores are log q, wherever the row still runs."""
    scores = torch.stack(output.scores, dim=1)
    answers = output.sequences[:, -scores.shape[1] :]
    expected, *_ = law(LanguageModel(policy), LanguageModel(target), prompts, answers, alpha)
    torch.testing.assert_close(scores.flatten(0, 1), expected.logprobs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(scores.logsumexp(-1), torch.zeros(scores.shape[:2]), atol=1e-5, rtol=0)
    return expected


@pytest.mark.parametrize("alpha", STRATEGIES, ids=lambda alpha: type(alpha).__name__)
def test_scores_are_the_law_of_the_geometric_sampler(
    pair: tuple[PreTrainedModel, PreTrainedModel], alpha: AlphaStrategy
) -> None:
    policy, target = pair
    # Ragged prompts, two answers to each; rows go on behind an EOS, so that every step can be compared.
    processor = QStarLogitsProcessor(target, alpha=alpha)
    output = generate(policy, processor, PROMPTS, num_return_sequences=2, eos_token_id=None)
    assert len({tuple(row) for row in output.sequences.tolist()}) == 6
    assert_same_law(output, PROMPTS, policy, target, alpha)


def test_another_law_is_told_apart(pair: tuple[PreTrainedModel, PreTrainedModel]) -> None:
    policy, target = pair
    output = generate(policy, QStarLogitsProcessor(target, alpha=FixedAlpha(0.5)), PROMPTS, eos_token_id=None)
    with pytest.raises(AssertionError):
        assert_same_law(output, PROMPTS, policy, target, KLSymmetricAlpha())


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_rotary_positions(family: str) -> None:
    policy, target = random_model(family, seed=2).float(), random_model(family, seed=3, scale=0.8).float()
    output = generate(policy, QStarLogitsProcessor(target), PROMPTS, eos_token_id=None)
    assert_same_law(output, PROMPTS, policy, target, KLSymmetricAlpha())


def test_the_babyllama_pair(real_data: Path) -> None:
    folders = [real_data / "tiny_models" / name for name in ("babyllama_a", "babyllama_b")]
    policy, target = (AutoModelForCausalLM.from_pretrained(folder).float().eval() for folder in folders)
    tokenizer = AutoTokenizer.from_pretrained(folders[0])
    prompts = [tokenizer(text)["input_ids"] for text in ("Once upon a time", "The little dog", "She")]
    # The tolerance of α counts: the two models differ by many nats on tokens that were never seen.
    alpha = KLSymmetricAlpha(tol=1e-6)
    processor = QStarLogitsProcessor(target, tokenizer=tokenizer, alpha=alpha, record=True)
    batch = prompt_batch(prompts)
    torch.manual_seed(0)
    output = policy.generate(
        input_ids=batch.prompt_ids,
        attention_mask=batch.prompt_mask.long(),
        logits_processor=[processor.attend(batch.prompt_mask)],
        do_sample=True,
        top_k=0,
        max_new_tokens=24,
        eos_token_id=None,
        pad_token_id=0,
        output_scores=True,
        return_dict_in_generate=True,
    )
    scores = torch.stack(output.scores, dim=1)
    answers = output.sequences[:, batch.prompt_ids.shape[1] :]
    own = LanguageModel(policy, tokenizer), LanguageModel(target, tokenizer)
    mixed, *_ = law(*own, prompts, answers, alpha)
    said = scores.flatten(0, 1)[:, : mixed.logprobs.shape[-1]]
    torch.testing.assert_close(said, mixed.logprobs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(processor.recorded(output.sequences).alpha.flatten(), mixed.alpha, atol=1e-5, rtol=0)


def test_greedy_tokens_are_those_of_the_engine(pair: tuple[PreTrainedModel, PreTrainedModel]) -> None:
    policy, target = pair
    output = generate(policy, QStarLogitsProcessor(target), PROMPTS, do_sample=False, top_k=None)
    sampler = GeometricSampler(max_new_tokens=8, top_k=1)
    rollout = sampler.draw(prompt_batch(PROMPTS), LanguageModel(policy), LanguageModel(target), samples=1, seed=0)
    answers = output.sequences[:, prompt_batch(PROMPTS).prompt_ids.shape[1] :]
    time = rollout.completion_ids.shape[1]
    assert torch.equal(answers[:, :time].masked_fill(~rollout.completion_mask, 0), rollout.completion_ids)


@pytest.mark.parametrize(
    ("options", "truncation"),
    [({}, {}), ({"temperature": 0.7, "top_k": 4}, {"temperature": 0.7, "top_k": 4})],
    ids=["q", "warped"],
)
def test_distribution(options: dict[str, Any], truncation: dict[str, Any]) -> None:
    """Whole answers against their exact law; a fixed α fails the same test (D ≈ 0.004 nats, 2nD ≈ 160)."""
    vocab, samples, prompt = 6, 20_000, [3, 4, 2]
    policy, target = random_model(vocab=vocab, seed=0), random_model(vocab=vocab, seed=1, scale=0.9)
    predictors = exact.predictor(policy, prompt), exact.predictor(target, prompt)
    truth = exact.enumerate_sequences(*predictors, exact.truncated(exact.geometric(None), **truncation), 3, {1})

    def p_value(alpha: AlphaStrategy) -> float:
        processor = QStarLogitsProcessor(target.float(), alpha=alpha)
        drawn = generate(
            policy.float(), processor, [prompt], num_return_sequences=samples, max_new_tokens=3, **options
        ).sequences[:, 3:]
        counts = Counter(answer(row) for row in drawn.tolist())
        return exact.g_test(dict(counts), truth)

    def answer(row: list[int]) -> tuple[int, ...]:
        return tuple(row[: row.index(1) + 1] if 1 in row else row)

    assert p_value(KLSymmetricAlpha()) > 1e-6
    assert p_value(FixedAlpha(0.5)) < 1e-6


def test_one_processor_serves_call_after_call(pair: tuple[PreTrainedModel, PreTrainedModel]) -> None:
    policy, target = pair
    processor = QStarLogitsProcessor(target)
    for prompts in (PROMPTS, PROMPTS, [[4, 4]], [[4, 4, 4]], PROMPTS[:2]):
        output = generate(policy, processor, prompts, eos_token_id=None)
        assert_same_law(output, prompts, policy, target, KLSymmetricAlpha())


def test_columns(pair: tuple[PreTrainedModel, PreTrainedModel]) -> None:
    policy, target = pair
    processor = QStarLogitsProcessor(target, record=True)
    output = generate(policy, processor, PROMPTS, num_return_sequences=30, max_new_tokens=12)
    found = processor.recorded(output.sequences)
    ended = (found.token_ids == 1).any(-1)
    assert bool(ended.any())
    assert not bool(ended.all())
    mixed, policy_said, target_said = law(
        LanguageModel(policy), LanguageModel(target), PROMPTS, found.token_ids, KLSymmetricAlpha()
    )
    shape, index = found.mask.shape, found.token_ids.unsqueeze(-1)
    expected = {
        "alpha": mixed.alpha.view(shape),
        "log_z": mixed.log_z.view(shape),
        "q_logprobs": mixed.logprobs.view(*shape, -1).gather(-1, index).squeeze(-1),
        "policy_logprobs": policy_said.gather(-1, index).squeeze(-1),
        "target_logprobs": target_said.gather(-1, index).squeeze(-1),
    }
    for name, column in expected.items():
        torch.testing.assert_close(getattr(found, name), torch.where(found.mask, column, 0.0), atol=1e-5, rtol=1e-4)
    # Nothing counts behind an EOS, and the EOS itself does.
    first = torch.where(found.token_ids == 1, torch.arange(shape[1]), shape[1]).amin(-1)
    assert torch.equal(found.mask.sum(-1), (first + 1).clamp_max(shape[1]))


def test_pads_that_are_the_eos_need_the_mask(pair: tuple[PreTrainedModel, PreTrainedModel]) -> None:
    policy, target = pair
    batch = prompt_batch(PROMPTS, pad_id=1)
    processor = QStarLogitsProcessor(target, pad_token_id=1)

    def draw() -> Any:
        torch.manual_seed(0)
        return policy.generate(
            input_ids=batch.prompt_ids,
            attention_mask=batch.prompt_mask.long(),
            logits_processor=[processor],
            do_sample=True,
            top_k=0,
            max_new_tokens=4,
            eos_token_id=None,
            pad_token_id=1,
            output_scores=True,
            return_dict_in_generate=True,
        )

    with pytest.raises(UserError, match=r"call attend\(attention_mask\) before generate"):
        draw()
    processor.attend(batch.prompt_mask)
    assert_same_law(draw(), PROMPTS, policy, target, KLSymmetricAlpha())


def test_padded_embeddings(pair: tuple[PreTrainedModel, PreTrainedModel]) -> None:
    from reference.tiny_models import word_tokenizer

    wide = random_model(vocab=16, seed=4).float()
    processor = QStarLogitsProcessor(pair[1], tokenizer=word_tokenizer())
    output = generate(wide, processor, PROMPTS, eos_token_id=None)
    scores = torch.stack(output.scores, dim=1)
    assert bool((scores[..., 11:] == -torch.inf).all())
    torch.testing.assert_close(scores.logsumexp(-1), torch.zeros(scores.shape[:2]), atol=1e-5, rtol=0)
    assert int(output.sequences.max()) < 11


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beams": 2, "do_sample": False, "top_k": None}, "beam_search"),
        ({"num_beams": 2}, "beam_sample"),
        ({"prompt_lookup_num_tokens": 3, "do_sample": False, "top_k": None}, "assisted_generation"),
        ({"assistant": True}, "assisted_generation"),
    ],
    ids=["beams", "drawn_beams", "prompt_look_up", "assistant"],
)
def test_what_is_no_draw_from_q_is_refused(
    pair: tuple[PreTrainedModel, PreTrainedModel], options: dict[str, Any], message: str
) -> None:
    policy, target = pair
    options = dict(options)
    if options.pop("assistant", False):
        options["assistant_model"] = random_model(seed=5).float()
    with pytest.raises(UserError, match=rf"generate must draw q\* token by token .*, got {message}$"):
        generate(policy, QStarLogitsProcessor(target), [[3, 4, 5, 3, 4, 5, 3, 4]], **options)


def test_contrastive_search_is_refused(pair: tuple[PreTrainedModel, PreTrainedModel]) -> None:
    """transformers runs it from the hub, in a function that has the configuration at hand."""
    generation_config = GenerationConfig(penalty_alpha=0.6, top_k=4)
    with pytest.raises(UserError, match=r"got contrastive_search$"):
        QStarLogitsProcessor(pair[1])(torch.tensor([[3, 4]]), torch.randn(1, generation_config.top_k + 7))


def test_rows_in_another_order_are_refused(pair: tuple[PreTrainedModel, PreTrainedModel]) -> None:
    processor = QStarLogitsProcessor(pair[1])
    rows = torch.tensor([[3, 4], [5, 6]])
    scores = torch.randn(2, 11)
    processor(rows, scores)
    with pytest.raises(UserError, match="rows must stay in their order"):
        processor(torch.tensor([[5, 6, 7], [3, 4, 8]]), scores)


def test_going_back_within_an_answer_is_a_new_beginning(pair: tuple[PreTrainedModel, PreTrainedModel]) -> None:
    processor, scores = QStarLogitsProcessor(pair[1]), torch.randn(1, 11)
    for length in (2, 3, 4):
        processor(torch.tensor([[3, 4, 5, 6]])[:, :length], scores)
    again = torch.tensor([[3, 4, 7]])
    torch.testing.assert_close(processor(again, scores), QStarLogitsProcessor(pair[1])(again, scores))


def test_mistakes(pair: tuple[PreTrainedModel, PreTrainedModel]) -> None:
    policy, target = pair
    with pytest.raises(UserError, match="target must share the policy's vocabulary of 11 tokens, got 9"):
        generate(policy, QStarLogitsProcessor(random_model(vocab=9).float()), [[3]])
    with pytest.raises(UserError, match="attention_mask must have its pads on the left"):
        QStarLogitsProcessor(target).attend(torch.tensor([[1, 1, 0]]))
    with pytest.raises(UserError, match=r"attention_mask must be that of the prompts, got shape \(1, 3\)"):
        generate(policy, QStarLogitsProcessor(target).attend(torch.ones(1, 3)), [[3, 4]])
    with pytest.raises(UserError, match="record must be True"):
        QStarLogitsProcessor(target).recorded(torch.tensor([[3]]))
    processor = QStarLogitsProcessor(target, record=True)
    sequences = generate(policy, processor, [[3, 4]]).sequences
    with pytest.raises(UserError, match="sequences must be those of the last call"):
        processor.recorded(sequences + 1)
