"""How good the tiny world's targets are, and how far from the policy: what stands in docs/tiny_world.md.

    python benchmarks/tiny_targets.py            # about a minute

Two answers of each law to 200 held-out dialogues of another sample of the world (seed 7). Quality is their mean gold
reward, and their mean proxy reward; distance the two divergences from tiny/policy, per answer, estimated on answers of
the law that stands first. The last lines give the spread of both rewards over the policy's own answers.
"""

import argparse

import torch

from qstar_pl.data import RLHFDataModule, TinyWorld
from qstar_pl.models import LanguageModel, Pretrained
from qstar_pl.rewards import GoldReward, RewardModelReward
from qstar_pl.rollout import Alone, decode
from qstar_pl.targets import Expert, RewardTilted, Target
from qstar_pl.targets.token_target import TokenTarget
from qstar_pl.types import PreferenceBatch, PromptBatch, Rollout

EXPERTS = ("policy", "expert_weaker", "expert_equal", "expert")
BETAS = (16.0, 8.0, 4.0, 2.0, 1.0)
MAX_NEW_TOKENS = 48


def targets() -> dict[str, TokenTarget]:
    """Return the targets by the words of the table."""
    found: dict[str, TokenTarget] = {f"tiny/{name}": Expert(Pretrained(f"tiny/{name}")) for name in EXPERTS}
    return found | {f"tilted by tiny/expert, β = {beta:g}": RewardTilted(beta=beta) for beta in BETAS}


def held_out(rows: int) -> PromptBatch:
    """Return prompts that no model has been trained on."""
    data = RLHFDataModule(
        path="tiny",
        tokenizer="tiny",
        adapter=TinyWorld(tasks=("dialogue",), seed=7),
        eval_batch_size=rows,
        val_fraction=0.2,
        val_limit=rows,
    )
    data.setup("validate")
    batch = next(iter(data.val_dataloader()[0]))
    if isinstance(batch, PreferenceBatch):
        return batch.prompts
    assert isinstance(batch, PromptBatch), type(batch)
    return batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200, help="prompts (default: 200)")
    rows = parser.parse_args().rows
    source = Pretrained("tiny/policy")
    tokenizer, reference = source.tokenizer(), source.load()
    policy, prompts = LanguageModel(reference, tokenizer), held_out(rows)
    proxy, gold = RewardModelReward(), GoldReward()
    proxy.build(tokenizer)

    def texts(rollout: Rollout) -> list[str]:
        pairs = zip(rollout.completion_ids, rollout.completion_mask, strict=True)
        return list(tokenizer.batch_decode([ids[mask] for ids, mask in pairs], skip_special_tokens=True))

    print("| π_t | gold | proxy | D(π_θ‖π_t) | D(π_t‖π_θ), nats per answer |\n|---|---|---|---|---|")
    for name, target in targets().items():
        assert isinstance(target, Target)
        target.build(reference, tokenizer)
        with torch.no_grad():
            of = {
                law: decode(prompts, policy, target, Alone(law), samples=2, seed=0, max_new_tokens=MAX_NEW_TOKENS)
                for law in ("policy", "target")
            }
            drawn = of["target"]
            rewards = [judge.score(drawn, texts(drawn)) for judge in (gold, proxy)]
        gaps = [
            sign * float(((r.policy_logprobs - r.target_logprobs) * r.completion_mask).sum(-1).mean())
            for sign, r in zip((1, -1), of.values(), strict=True)
        ]
        numbers = [f"{reward.mean():.2f}" for reward in rewards] + [f"{gap:.1f}".replace("-0.0", "0.0") for gap in gaps]
        print(f"| {name} | {' | '.join(numbers)} |", flush=True)
        if name == "tiny/policy":
            spread = [float(reward.std()) for reward in rewards]
    print(f"\nover the policy's answers: s.d. of gold {spread[0]:.2f}, of proxy {spread[1]:.2f}")


if __name__ == "__main__":
    main()
