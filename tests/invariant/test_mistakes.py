"""What a user can get wrong, through the real command: one line in their words, no traceback, nothing damaged.

`MISTAKES` is the table: a command, and what its line must say. In a row, {small} stands for the options of a run that
is as short as can be; file names are those of `FILES`, which lie in the working folder.
"""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_run import SMALL

Call = Callable[..., tuple[int, str, str]]
SHORT = (*SMALL, "--model.sampler.max_new_tokens=2", "--trainer.max_steps=1")
PAIRS = [{"prompt": f"q {number}", "chosen": "b", "rejected": "c"} for number in range(40)]
PROBLEM = {
    "task_id": "T/0",
    "prompt": "def one():\n",
    "entry_point": "one",
    "test": "def check(one):\n    assert one() == 1\n",
    "canonical_solution": "    return 1\n",
}
FILES = {
    "empty.ckpt": "",
    "text.ckpt": "hello\n",
    "empty.yaml": "",
    "comment.yaml": "# nothing yet\n",
    "list.yaml": "- a\n- b\n",
    "word.yaml": "QStar\n",
    "tab.yaml": "model:\n\tclass_path: QStar\n",
    "colon.yaml": "name: a\nmodel: a: b\n",
    "twice.yaml": "trainer:\n  max_steps: 1\n  max_steps: 2\n",
    "unknown.yaml": "trainer:\n  max_stepz: 1\n",
    "top.yaml": "modell:\n  class_path: QStar\n",
    "rate.yaml": "model:\n  class_path: QStar\n  init_args:\n    optimizer:\n      class_path: torch.optim.AdamW\n"
    "      init_args:\n        lr: fast\n",
    "empty.jsonl": "",
    "pairs.jsonl": "".join(json.dumps(row) + "\n" for row in PAIRS),
    "answers.jsonl": "".join(json.dumps({"prompt": row["prompt"], "answer": "b"}) + "\n" for row in PAIRS),
    "others.jsonl": '{"prompt": "z", "answer": "b"}\n',
    "few.jsonl": '{"prompt": "q 0", "answer": "b"}\n',
    "columns.jsonl": '{"foo": "a", "bar": "b"}\n',
    "numbers.jsonl": '{"chosen": 3, "rejected": 4}\n',
    "number_prompts.jsonl": '{"prompt": 5}\n',
    "null_prompts.jsonl": '{"prompt": null}\n',
    "problems.jsonl": json.dumps(PROBLEM) + "\n",
    "words.jsonl": "not json\n",
    "metrics.csv": "step,reward/gold\n1,0.5\n2,0.6\n",
    "words.diagnostics.jsonl": "not json\n",
    "empty.diagnostics.jsonl": "",
    "judge.yaml": "kind: pairwise\nuser: '{prompt} {answer_1} {anser_2}'\nverdict: {first: '1', second: '2'}\n",
    "folder/notes.txt": "of a user's own\n",
    "no.yaml": "title: a\nquestion: b\ntiny:\n  methods:\n    no: experiment/tiny_sft\n"
    "  seeds: 1\n  budget: {tokens: 9}\n",
    "zero.yaml": "title: a\nquestion: b\ntiny:\n  methods:\n    one: experiment/tiny_sft\n"
    "  options: {trainer.max_steps: 0}\n  seeds: 1\n  budget: {tokens: 9}\n",
    "damaged/results.json": "{",
    "later/results.json": '{"schema": 2}',
    "other_class.py": "class Other:\n    pass\n",
}
FIT = [
    # Words of the command line.
    ("fit --modell=QStar", "unknown option --modell; did you mean --model"),
    ("fit --lr=1e-4", "unknown option --lr; did you mean --model.optimizer.lr?"),
    ("fit --batch_size=3", "unknown option --batch_size; did you mean --data.batch_size?"),
    ("fit --max_steps=3", "unknown option --max_steps; did you mean --trainer.max_steps"),
    ("fit --output_dir=x", "unknown option --output_dir; did you mean --trainer.default_root_dir?"),
    ("fit --precision fp16", "unknown option --precision; did you mean --trainer.precision?"),
    ("fit --trainer.max_steps", "--trainer.max_steps must be followed by a value, got nothing"),
    ("fit --trainer.fast_dev_run --data.batch_size=2", "--trainer.fast_dev_run must be followed by a value"),
    ("fit --config", "--config must be followed by a value, got nothing"),
    ("fit --optimizer=Adamm", "unknown option --optimizer; did you mean --model.optimizer?"),
    ("fit --lr_scheduler=Foo", "unknown option --lr_scheduler; did you mean --model.lr_scheduler?"),
    ("fit --name=''", "name must not be empty"),
    ("fit --model.reference=AdapterOff", "policy must be LoRA for reference AdapterOff, got Pretrained"),
    ("fit --model.target.model=PolicyBase", "policy must have adapters (LoRA) for PolicyBase, got Pretrained"),
    ("fit --model.max_staleness=-1", "max_staleness must be at least 0, got -1"),
    (
        "fit --model.class_path=PPO --model.epochs=4 --model.max_staleness=3",
        "max_staleness must be 0 or at least the 4 optimizer steps of a batch, got 3",
    ),
    (
        "fit --model.max_staleness=1 --model.sampler.top_k=5",
        "top_p must be null where max_staleness is 1|got 5 and None",
    ),
    ("fit --name", "--name must be followed by a value, got nothing"),
    ("fit QStar", "unexpected word QStar"),
    ("fit validate", "unexpected word validate"),
    # Types and choices.
    ("fit --trainer.max_steps=many", "--trainer.max_steps: expected int, got many"),
    ("fit --trainer.enable_progress_bar=maybe", "--trainer.enable_progress_bar: expected bool, got maybe"),
    ("fit --trainer.precision=fp16", "--trainer.precision: must be one of|'16-mixed'|got fp16"),
    ("fit --trainer.max_time=soon", "trainer.max_time must be written as DD:HH:MM:SS, got soon"),
    ("fit --trainer.limit_val_batches=1.5", "trainer.limit_val_batches must be a share from 0 to 1|got 1.5"),
    ("fit --trainer.fast_dev_run=-1", "trainer.fast_dev_run must be at least 0, got -1"),
    ("fit --trainer.accelerator=cpu --trainer.devices=9999", "trainer.devices must be at most|CPU cores, got 9999"),
    ("fit --seed_everything abc", "--seed_everything: expected bool or int, got abc"),
    ("fit --data.batch_size=1.5", "--data.batch_size: expected int, got 1.5"),
    ("fit --data.batch_size=abc", "--data.batch_size: expected int, got abc"),
    ("fit --model.optimizer.lr=nan", "--model.optimizer.lr: expected float, got nan"),
    ("fit --model.sampler.temperature=nan", "--model.sampler.temperature: expected float, got nan"),
    ("fit --model.metrics=Perplexity", "--model.metrics: expected a list, got Perplexity; --model.metrics+=Perplexity"),
    # Metrics.
    ("validate --model.metrics+=BLEU --model.metrics.tokenize=13b", "--model.metrics.tokenize: must be|got 13b"),
    ("validate --model.metrics+=Rouge --model.metrics.kinds=[rouge9]", "--model.metrics.kinds: must be|got rouge9"),
    (
        "validate --model.metrics+=ChrF --model.metrics.word_order=3",
        "model.metrics.word_order must be 0, 1 or 2, got 3",
    ),
    ("validate --model.metrics+=PassAtK --model.metrics.samples=5", "samples must be at least the largest k, got 5"),
    ("validate {small} --model.metrics+=PassAtK", "PassAtK needs tests of programs, got none in 64 rows of tiny"),
    (
        "validate {small} --model.metrics+=BERTScore --model.metrics.model=tiny/policy --model.metrics.layer=99",
        "model.metrics.layer must lie in [0, 3] for this model, got 99",
    ),
    # Classes.
    ("fit --model=QStarr", "--model: unknown class QStarr; did you mean QStar?"),
    (
        "fit --model.sampler=Geometric",
        "--model.sampler: unknown class Geometric; did you mean GeometricSampler or SequenceGeometricSampler?",
    ),
    ("fit --model.sampler.alpha=0.5", "--model.sampler.alpha: unknown class 0.5; known:|FixedAlpha"),
    ("fit --trainer.callbacks=Foo", "unknown class Foo; known: |AlphaDiagnostic| more (--trainer.callbacks.help)"),
    ("fit --model=torch.nn.Linear", "--model: torch.nn.Linear is not a RLHFModule"),
    ("fit --model=no.such.Method", "--model: unknown class no.such.Method; known: |QStar"),
    ("fit --model.sampler=other_class.Other", "--model.sampler: other_class.Other is not a Sampler"),
    ("fit --model.sampler=other_class.Absent", "--model.sampler: unknown class other_class.Absent"),
    ("fit --model.sampler=os.system", "--model.sampler: os.system must not be named in a configuration"),
    ("fit --model.optimizer=AdamX", "--model.optimizer: unknown class AdamX; did you mean Adam"),
    ("fit --model.lr_scheduler=CosineAnnealing", "--model.lr_scheduler: unknown class CosineAnnealing; did you mean"),
    ("fit --data.adapter=HHRLFH", "--data.adapter: unknown class HHRLFH; did you mean HHRLHF?"),
    ("fit --trainer.callbacks+=ESSDiagnostics", "--trainer.callbacks: unknown class ESSDiagnostics; did you mean ESS"),
    (
        "fit --trainer.callbacks+=Budget --trainer.callbacks.amount=abc",
        "--trainer.callbacks.amount: expected int, got abc",
    ),
    (
        "fit --trainer.callbacks+=Budget --trainer.callbacks.amuont=3",
        "Budget has no such option; did you mean amount or",
    ),
    (
        "fit --trainer.callbacks+=Guards --trainer.callbacks.action=halt",
        "--trainer.callbacks.action: must be one of|halt",
    ),
    ("fit --trainer.logger=TensorBordLogger", "--trainer.logger: unknown class TensorBordLogger; did you mean"),
    # Arguments of classes.
    ("fit --model.samplr=PolicySampler", "--model.samplr: QStar has no such option; did you mean sampler?"),
    ("fit --model.lr=3", "--model.lr: QStar has no such option; known: |optimizer"),
    ("fit --data.batch=3", "--data.batch: RLHFDataModule has no such option; did you mean"),
    ("fit --data.adapter=PromptResponse --data.adapter.prompt=q", "--data.adapter.prompt: |did you mean prompt_field"),
    ("fit --model.target=null", "model.target must be a Target (CandidateTarget, Expert|got null"),
    ("fit --model.sampler.top_p=1.5", "model.sampler.top_p must lie in (0, 1], got 1.5"),
    ("fit --model.sampler.top_p=0", "model.sampler.top_p must lie in (0, 1], got 0.0"),
    ("fit --model.sampler=SpeculativeSampler --model.sampler.k=0", "model.sampler.k must be at least 1, got 0"),
    (
        "fit --model.sampler=EngineSampler --model.sampler.law=Alone --model.sampler.law.role=target",
        "law must draw from the policy for EngineSampler, got Alone(role='target')",
    ),
    (
        "fit --model.sampler=EngineSampler --model.sampler.engine=VLLMEngine --model.sampler.engine.memory_fraction=2",
        "memory_fraction must lie in (0, 1], got 2.0",
    ),
    (
        "fit --model.sampler=EngineSampler --model.sampler.engine=VLLMEngine "
        "--model.sampler.engine.options.logprobs_mode=raw_logprobs",
        "options must leave|logprobs_mode|to VLLMEngine, got logprobs_mode",
    ),
    (
        "fit --model.sampler=EngineSampler --model.sampler.engine=VLLMServer --model.sampler.engine.urls=[ftp://a]",
        "urls must be those of servers (http://host:port), got ftp://a",
    ),
    (
        "fit --model.sampler=SpeculativeSampler --model.sampler.coupling=Rejection",
        "coupling must be SharedUniform for Alternating, whose texts depend on what shares their batch, got Rejection",
    ),
    (
        "fit --model.sampler=SpeculativeSampler --model.sampler.drafter=PromptLookup --model.sampler.drafter.longest=1",
        "longest must be at least shortest (2), got 1",
    ),
    (
        "fit --model.sampler=SequenceGeometricSampler --model.sampler.survivors=1",
        "model.sampler.survivors must be at least 2, got 1",
    ),
    (
        "fit --model.sampler=SequenceGeometricSampler --model.sampler.top_k=5",
        "temperature, top_k and top_p must be left out for a law of whole answers",
    ),
    (
        "fit --model.sampler=SequenceGeometricSampler --model.weights=RawWeights --model.weights.level=token",
        "weights.level must be sequence for SequenceGeometricSampler, whose log q is that of whole answers, got token",
    ),
    ("fit --model.sampler.temperature=-1", "model.sampler.temperature must be positive, got -1.0"),
    ("fit --model.sampler.max_new_tokens=0", "model.sampler.max_new_tokens must be at least 1, got 0"),
    ("fit --model.sampler.torch_compile=gcc", "model.sampler.torch_compile must be true, false or a backend"),
    (
        "fit --model.sampler.alpha=FixedAlpha --model.sampler.alpha.value=2",
        "model.sampler.alpha.value must lie in [0, 1], got 2.0",
    ),
    ("fit --model.samples_per_prompt=0", "model.samples_per_prompt must be at least 1, got 0"),
    (
        "fit --model.samples_per_prompt=1 --model.advantage=LeaveOneOut",
        "model.samples_per_prompt must be at least 2 for LeaveOneOut, got 1",
    ),
    ("fit --data.batch_size=-1", "data.batch_size must be at least 1, got -1"),
    ("fit --data.max_left_out=7", "data.max_left_out must lie in [0, 1], got 7.0"),
    # The trainer's.
    ("fit --trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches must be at least 1, got 0"),
    ("fit --trainer.max_steps=-5", "trainer.max_steps must be at least -1, got -5"),
    ("fit --trainer.devices=0", "trainer.devices must be auto, a number of them, or numbers such as 0,1, got 0"),
    ("fit --trainer.strategy=nope", "trainer.strategy must be auto, or a strategy such as ddp|got nope"),
    (
        "fit {small} --model.reward=NoisyReward --model.reward.reward=GoldReward --model.reward.sd=-1",
        "sd must be at least 0, got -1.0",
    ),
    ("fit {small} --trainer.default_root_dir=list.yaml", "trainer.default_root_dir must name a place that can be used"),
    ("fit --date=yesterday", "date must be a day as YYYY-MM-DD, got 'yesterday'"),
    # What the run finds once it begins.
    ("fit {small} --model.optimizer.lr=-1", "optimizer must suit|Invalid learning rate: -1.0"),
    ("fit {small} --model.optimizer.lr=.inf", "optimizer must suit|learning rate inf"),
    (
        "fit {small} --model.policy.name=nowhere",
        "model.policy.name must lead to a tokenizer, got 'nowhere': |the hub cannot be asked",
    ),
    ("fit {small} --model.policy.name=folder", "model.policy.name must|got 'folder'"),
    (
        "fit {small} --data.path=nowhere.jsonl",
        "data.path must be a file, a folder or a hub id; there is no nowhere.jsonl",
    ),
    ("fit {small} --data.path=empty.jsonl", "data.path must hold a usable row, got 0 rows in empty.jsonl"),
    ("fit {small} --data.path=columns.jsonl", "columns.jsonl:1: Auto needs a column of prompts|the rows have bar, foo"),
    ("fit {small} --data.path=folder", "data.path must hold a .jsonl|got folder"),
    ("fit {small} --data.path=numbers.jsonl --data.adapter=HHRLHF", "chosen"),
    ("predict --model=RewardModeling", "model must be a method that answers prompts for predict, got Reward"),
    # Judges.
    ("validate --model.metrics+=WinRate", "--model.metrics.judge must be given for WinRate"),
    ("validate {won} --model.metrics.judge=GoldJudg", "unknown class GoldJudg; did you mean GoldJudge?"),
    (
        "validate {pairs} {won} --model.metrics.judge=TestsJudge",
        "metrics must be measurable here: WinRate needs a judge that knows the rows, got TestsJudge for 40 rows of",
    ),
    (
        "validate {pairs} {won} --model.metrics.judge=RewardModelJudge --model.metrics.judge.reward=RewardModelReward",
        "RewardModelJudge for 40 rows of pairs.jsonl: model is left to its default",
    ),
    (
        "validate {won} --model.metrics.judge=RewardModelJudge --model.metrics.judge.reward=GoldReward "
        "--model.metrics.judge.soft=true --model.metrics.judge.margin=0.1",
        "margin must be 0 where verdicts are soft, got 0.1",
    ),
    (
        "validate {pairs} {won} --model.metrics.judge=LengthJudge --model.metrics.baseline=StoredAnswers "
        "--model.metrics.baseline.path=nowhere.jsonl",
        "baseline.path must|there is no nowhere.jsonl",
    ),
    # What metrics need.
    ("validate --model.metrics+=SelfBLEU --model.metrics.samples=1", "model.metrics.samples must be at least 2, got 1"),
    ("validate --model.metrics+=CorpusDistinct --model.metrics.n=[0]", "n must be at least 1, got 0"),
    ("validate --model.metrics+=Harmlessness", "--model.metrics.reward must be given for Harmlessness"),
    (
        "validate {pairs} --model.metrics+=ProxyCalibration",
        "metrics must be measurable here: ProxyCalibration needs a gold reward (gold), got none",
    ),
    (
        "validate {pairs} --model.metrics+=RewardScore --model.metrics.reward=ExecutionReward",
        "metrics must be measurable here: RewardScore needs rows that ExecutionReward can judge, got 40 of 40 rows of "
        "pairs.jsonl that it cannot: it has no tests of programs",
    ),
    (
        "validate {harmless} --model.metrics.reward.model=nowhere --model.metrics.reward.label=ok",
        "reward.model must be a classifier of texts, got 'nowhere'|the hub cannot be asked",
    ),
]
YAML = [
    (
        "fit --config=nowhere.yaml",
        "config must be a file, or one of those that `qstar configs` lists, got nowhere.yaml",
    ),
    ("fit --config=experiment/tiny_dpoo", "config must be|got experiment/tiny_dpoo; did you mean experiment/tiny_dpo?"),
    ("fit --config=", "config must be a file|got nothing"),
    ("fit --config=folder", "config must be a file|got the folder folder"),
    ("fit --config=empty.yaml", "empty.yaml must hold options and their values|got nothing"),
    ("fit --config=comment.yaml", "comment.yaml must hold options and their values|got nothing"),
    ("fit --config=list.yaml", "list.yaml must hold options and their values|got a list"),
    ("fit --config=word.yaml", "word.yaml must hold options and their values|got a single value"),
    ("fit --config=tab.yaml", "tab.yaml:2 is not valid YAML"),
    ("fit --config=colon.yaml", "colon.yaml:2 is not valid YAML"),
    ("fit --config=twice.yaml", "twice.yaml:3 is not valid YAML: max_steps is given twice, first in line 2"),
    ("fit --config=unknown.yaml", "unknown option --trainer.max_stepz; did you mean --trainer.max_steps"),
    ("fit --config=top.yaml", "unknown option --modell; did you mean --model"),
    ("fit --config=method/ppo.yaml", "unknown option --init_args|describes one part|(--model=method/ppo.yaml, "),
    ("fit --config=rate.yaml", "--model.optimizer.lr: expected float, got fast"),
    ("--config=nowhere.yaml fit", "config must be a file|got nowhere.yaml"),
    ("generate --config=tab.yaml", "tab.yaml:2 is not valid YAML"),
    ("generate --config=list.yaml", "list.yaml must hold options and their values|got a list"),
    ("data --config=empty.yaml", "empty.yaml must hold options and their values|got nothing"),
    ("data --config=tab.yaml", "tab.yaml:2 is not valid YAML"),
    ("plan --config=nowhere.yaml", "config must be a file|got nowhere.yaml"),
    ("fit --config=experiments/mvp", "config must be of one run|mvp.yaml, an experiment of many: qstar experiment mvp"),
    ("fit --config zero.yaml", "config must be of one run, got zero.yaml|qstar experiment zero.yaml"),
    ("plan --config=experiments/mvp", "config must be of one run|qstar experiment mvp"),
    ("experiment --config=nowhere.yaml", "config must be a file|got nowhere.yaml"),
]
CHECKPOINTS = [
    ("validate --ckpt_path best", "ckpt_path must be last, auto or the path of a checkpoint, got best"),
    ("fit --ckpt_path last", "ckpt_path must name a checkpoint, got last, and runs/q_star holds none yet"),
    ("fit --ckpt_path=nowhere.ckpt", "ckpt_path must name a checkpoint that exists, got nowhere.ckpt"),
    ("validate --ckpt_path=empty.ckpt", "ckpt_path must be a Lightning checkpoint, got empty.ckpt"),
    ("validate --ckpt_path=text.ckpt", "ckpt_path must be a Lightning checkpoint, got text.ckpt"),
    ("validate --ckpt_path=folder", "ckpt_path must be a Lightning checkpoint, got the folder folder"),
    ("validate --ckpt_path=plain.ckpt", "ckpt_path must be a Lightning checkpoint|has no state_dict|it holds a"),
    ("fit --ckpt_path=plain.ckpt", "ckpt_path must be a Lightning checkpoint|no pytorch-lightning_version"),
    ("export --ckpt_path=nowhere.ckpt --output=x", "ckpt_path must name a checkpoint that exists, got nowhere.ckpt"),
    ("export --ckpt_path=text.ckpt --output=x", "ckpt_path must be a Lightning checkpoint, got text.ckpt"),
    ("export --ckpt_path=plain.ckpt --output=x", "ckpt_path must be a Lightning checkpoint|has no state_dict"),
    ("export --ckpt_path=plain.ckpt --output=folder", "output must be a new or an empty folder, got folder"),
    ("export --ckpt_path=a.ckpt --output=", "--output must name a file or a folder, got nothing"),
    ("export --output=x", "--ckpt_path must be given"),
]
GENERATE = [
    ("generate --model_theta=tiny/policy", "--output must be given"),
    ("generate --output=a.jsonl", "model_theta must name a model"),
    ("generate --model=tiny/policy --output=a.jsonl", "unknown option --model; did you mean"),
    ("generate {theta} --output=/dev/full", "output must end in .jsonl|got /dev/full"),
    ("generate {theta} --output=folder", "output must be a file, got the folder folder"),
    ("generate {theta} --output=pairs.jsonl --dataset=pairs.jsonl", "output must not be a file that|got pairs.jsonl"),
    (
        "generate {theta} --output=a.jsonl --start_idx=5 --end_idx=2",
        "end_idx must be greater than start_idx (5), got 2",
    ),
    ("generate {theta} --output=a.jsonl --num_samples=-3", "num_samples must be at least 1, got -3"),
    ("generate {theta} --output=a.jsonl --dataset=nowhere.jsonl", "dataset must be a file|there is no nowhere.jsonl"),
    (
        "generate {theta} --output=a.jsonl --dataset=pairs.jsonl --prompt_field=question",
        "dataset must have a usable row|the column question is missing|chosen, prompt, rejected",
    ),
    ("generate {theta} --output=a.jsonl --alpha_method=kl_symmetric", "model_t must be given where alpha_method is"),
    ("generate {theta} {expert} --output=a.jsonl --alpha_method=best", "alpha_method must be one of fixed|got 'best'"),
    (
        "generate {theta} {expert} --output=a.jsonl --alpha_method=fixed --fixed_alpha=2",
        "fixed_alpha must lie in [0, 1], got 2.0",
    ),
    ("generate {theta} --output=a.jsonl --temperature=0", "temperature must be positive, got 0.0"),
    ("generate {theta} --output=a.jsonl --device=gpu0", "device must be auto, cpu, cuda|got 'gpu0'"),
    ("generate {theta} --output=a.jsonl --backend=vllm", "backend must be one of auto|got 'vllm'"),
    ("generate {theta} --output=a.jsonl --dtype=fp16", "dtype must be one of float32|got 'fp16'"),
    ("generate {theta} --output=a.jsonl --seed=abc", "--seed: expected int, got abc"),
    ("generate --model_theta=text.ckpt --output=a.jsonl", "model_theta: path must be a Lightning checkpoint"),
    ("generate --model_theta=no/such --output=a.jsonl", "model_theta: name must lead to a tokenizer, got 'no/such'"),
    ("generate --model_theta=tiny/polcy --output=a.jsonl", "model_theta must be one of tiny/expert|got 'tiny/polcy'"),
]
EVALUATE = [
    ("evaluate --answers=tiny/policy", "--output must be given"),
    ("evaluate --output=ev", "answers must name a model, a file of answers, chosen or rejected, got nothing"),
    ("evaluate --answers=tiny/polcy --output=ev", "answers must be one of tiny/expert|got 'tiny/polcy'"),
    ("evaluate --answers=AnswerFile --output=ev", "answers must name a model|did you mean AnswersFile?"),
    ("evaluate --answers=no/such --output=ev {scored}", "answers: name must lead to a tokenizer, got 'no/such'"),
    ("evaluate --answers=nowhere.jsonl --output=ev {scored}", "answers must be a file|there is no nowhere.jsonl"),
    ("evaluate --answers=columns.jsonl --output=ev {scored}", "answers must have messages, or a column for the prompt"),
    (
        "evaluate --answers=answers.jsonl --answers.answer_field=text --output=ev {scored}",
        "answers must have the column text in every row, got answer, prompt (answers.jsonl:1)",
    ),
    (
        "evaluate --answers=others.jsonl --output=ev {scored}",
        "answers must answer prompts of the data, got 1 of 1 rows with others, first others.jsonl:1, where the data's "
        "first prompt is 'q 0'; --answers=AnswersFile with",
    ),
    ("evaluate --answers=empty.jsonl --output=ev {scored}", "answers must hold an answer to a prompt|got 0 rows"),
    (
        "evaluate --answers=answers.jsonl --baseline=few.jsonl --output=ev {scored}",
        "baseline must answer every prompt that is answered, got 1 of 40; the first without is pairs.jsonl:2",
    ),
    ("evaluate --answers=answers.jsonl --dataset=empty.jsonl --output=ev", "dataset must"),
    (
        "evaluate --answers=answers.jsonl --start_idx=90 --output=ev {scored}",
        "dataset must hold a row from start_idx",
    ),
    (
        "evaluate --answers=answers.jsonl --metrics=[ExecutionAccuracy] --output=ev {scored}",
        "metrics must be measurable here: ExecutionAccuracy needs tests of programs, got none in 40 rows",
    ),
    (
        "evaluate --answers=answers.jsonl --metrics=[Perplexity] --output=ev {scored}",
        "metrics must be measurable here: Perplexity needs tokens and log-probabilities, which answers of a model have",
    ),
    (
        "evaluate --answers=tiny/policy --metrics=[PreferenceAccuracy] --output=ev",
        "PreferenceAccuracy needs a model to compare with (reference), got none",
    ),
    (
        "evaluate --answers=tiny/policy --metrics=[WinRate] --metrics.judge=GoldJudge "
        "--metrics.baseline=Start --output=ev",
        "WinRate needs the policy's start to compare with, got answers that were drawn before",
    ),
    (
        "evaluate --answers=tiny/policy --metrics=[KLPolicyReference] --reference=tiny/polcy --output=ev",
        "reference must be one of tiny/expert|got 'tiny/polcy'",
    ),
    (
        "evaluate --answers=tiny/policy --max_completion_tokens=0 --output=ev",
        "max_completion_tokens must be at least 1",
    ),
    (
        "evaluate --answers=answers.jsonl --metrics=[Rogue] --output=ev {scored}",
        "--metrics: unknown class Rogue; did you mean Rouge",
    ),
    ("evaluate --answers=answers.jsonl --metrics=[Rouge,Rogue] --output=ev {scored}", "unknown class Rogue; did you"),
    ("evaluate --answers=answers.jsonl --metrics=Rouge --output=ev {scored}", "--metrics: expected a list, got Rouge"),
    (
        "evaluate --answers=answers.jsonl --judge=GoldenJudge --output=ev {scored}",
        "GoldenJudge; did you mean GoldJudge",
    ),
    ("evaluate --answers=answers.jsonl --metrics=[] --output=ev {scored}", "metrics must name at least one"),
    (
        "evaluate --answers=answers.jsonl --judge=LengthJudge --output=ev {scored}",
        "baseline must be given where judge is",
    ),
    ("evaluate --answers=answers.jsonl --confidence=95 --output=ev {scored}", "confidence must lie in (0, 1), got 95"),
    (
        "evaluate --answers=answers.jsonl --output=pairs.jsonl {scored}",
        "output must be a folder, got the file",
    ),
    (
        "evaluate --from_scores=folder",
        "from_scores must be the folder of an evaluation, got folder",
    ),
    (
        "evaluate --judge_only --judge=LengthJudge --output=folder",
        "output must be the folder of an evaluation",
    ),
]
TOOLS = [
    ("fitt", "unknown command 'fitt'; did you mean fit?"),
    ("curves metrics.csv --key=reward/gold --output=x.docx", "output must|got x.docx"),
    ("curves metrics.csv --key=reward/gol --output=x.png", "reward/gol"),
    ("curves nowhere.csv --key=reward/gold --output=x.png", "nowhere.csv"),
    ("curves metrics.csv --key=reward/gold --output=metrics.csv/x.png", "output must name a place that can be used"),
    ("report mvp", "runs must be folders with results.json|got mvp (runs/experiments holds none)"),
    ("report", "runs must be given"),
    ("curves metrics.csv --key=reward/gold --out=x.png", "unknown option --out; did you mean --output"),
    ("analyze nowhere.jsonl", "diagnostics must be *.diagnostics.jsonl files|got nowhere.jsonl"),
    ("analyze words.diagnostics.jsonl", "words.diagnostics.jsonl:1: diagnostics must be a JSON object per line"),
    ("analyze empty.diagnostics.jsonl", "diagnostics must hold at least one row, got empty.diagnostics.jsonl"),
    ("analyze folder", "diagnostics must be *.diagnostics.jsonl files or a folder of them, got folder"),
    ("data", "path must name a file, a folder or a hub id, got nothing"),
    ("data --path=nowhere.jsonl", "path must be a file, a folder or a hub id; there is no nowhere.jsonl"),
    ("data --path=empty.jsonl", "path must hold a usable row, got 0 rows in empty.jsonl"),
    ("data --path=columns.jsonl", "columns.jsonl:1: Auto needs a column of prompts|the rows have bar, foo"),
    ("data --path=number_prompts.jsonl", "number_prompts.jsonl:1: Auto needs text|got numbers in prompt"),
    ("data --path=null_prompts.jsonl", "null_prompts.jsonl:1: Auto needs text|got nothing in prompt"),
    ("data --path=pairs.jsonl --adapter=Foo", "unknown class Foo; known: APPS, | more (--adapter.help)"),
    ("data --path=text.ckpt", "path must end in one of .jsonl|got text.ckpt"),
    ("data --path=pairs.jsonl --adapter=HHRLFH", "--adapter: unknown class HHRLFH; did you mean HHRLHF?"),
    ("data --path=pairs.jsonl --max_rows=0", "max_rows must be at least 1, got 0"),
    ("data --path=pairs.jsonl --tokenizer=nowhere", "tokenizer must lead to a tokenizer, got 'nowhere'"),
    ("data --path=pairs.jsonl --examples=abc", "--examples: expected int, got abc"),
    ("configs nowhere", "config must be a file, or one of those that `qstar configs` lists, got nowhere"),
    ("configs --copy folder", "copy must name a folder that does not exist yet, got folder"),
    ("configs --copy /proc/nowhere/x", "copy must name a folder that can be written, got /proc/nowhere/x"),
    ("pass-at-k words.jsonl", "problems must name HumanEval's file or one with rows of APPS, got none"),
    ("pass-at-k words.jsonl --problems=nowhere.jsonl", "problems must be a file|there is no nowhere.jsonl"),
    ("pass-at-k words.jsonl --problems=pairs.jsonl", "problems must be rows of HumanEval or APPS with tests"),
    ("pass-at-k words.jsonl --problems=problems.jsonl", "words.jsonl:1"),
    ("pass-at-k words.jsonl --problems=problems.jsonl --k 0", "k must be at least 1, got 0"),
    ("win-rate nowhere.json", "annotations must be a file|there is no nowhere.json"),
    ("win-rate words.jsonl", "words.jsonl:1"),
    ("win-rate words.jsonl --confidence=95", "confidence must lie in (0, 1), got 95.0"),
    ("win-rate words.jsonl --prior=-1", "prior must be at least 0, got -1.0"),
    ("pass-at-k words.jsonl --problems=problems.jsonl --workers=0", "workers must be at least 1, got 0"),
    ("plan --memory_gib=-1", "memory_gib must be positive, got -1.0"),
    ("plan --memory_gib=abc", "--memory_gib must be of type float, got abc"),
    ("plan --prompt_tokens=0", "prompt_tokens must be at least 1, got 0"),
    ("report damaged", "results.json must be JSON, got a damaged file"),
    ("report later", "results.json must be of schema 1, got 2"),
    ("experiment mvp --seeds=0", "--seeds must be at least 1, got 0"),
    ("experiment mvp --seeds=abc", "--seeds must be how many seeds, or which ones (5,6,7), got abc"),
    ("experiment mvp --seeds=5,5", "--seeds must be different seeds from 0 on, got 5,5"),
    ("experiment mvp --seeds=99999999999999", "--seeds must be at most 10000, got 99999999999999"),
    ("experiment mvp --jobs=0", "jobs must be at least 1, got 0"),
    ("experiment mvp --reuse_from=nowhere --dry_run", "reuse_from must be a folder with results folders, got nowhere"),
    ("experiment mvp --no_reuse --reuse_from=. --dry_run", "reuse_from must not be given with --no_reuse, got ."),
    ("experiment mvp --rehearse --dry_run", "rehearse must not be given with --dry_run, which runs nothing"),
    ("experiment mpv", "name must be a file or one of|got mpv; did you mean mvp?"),
    (
        "experiment mvp --launcher=ssh",
        "launcher must be local, slurm, or a template with {command} or|got ssh",
    ),
    ("experiment mvp --variant=small", "--variant must be one of|got small"),
    ("experiment mvp --trainer.max_steps=1", "options of runs must stand in the experiment's file, or follow --config"),
    ("experiment --trainer.max_steps=1", "name must be given before options of runs, got --trainer.max_steps=1"),
    ("experiment mvp --outptu=x", "unknown option --outptu; did you mean --output?"),
    ("experiment mvp main", "unexpected word main"),
    ("experiment mvp --launcher=slurm", "launcher slurm must find sbatch on PATH, got none"),
    ("experiment no.yaml", "no.yaml:5: tiny.methods.False must be a name|(yes, no, on and off stand in quotes)"),
    ("experiment zero.yaml", "zero.yaml:5: cell one: trainer.max_steps must leave room for 9 trained tokens, got 0"),
    ("experiment --config=experiments/mvp", "config must be of one run|qstar experiment mvp"),
    ("experiment list.yaml", "list.yaml:1"),
    (
        "experiment --config=experiment/tiny_dpo --seeds=1 --output=list.yaml",
        "output must name a place that can be used",
    ),
    ("quickstart --steps=-3", "unknown option --steps; did you mean --trainer.max_steps?"),
    ("quickstart --seeds=0", "seeds must be at least 1, got 0"),
    ("theory --policy=tiny/policy", "--target must be given"),
    ("theory --policy=nowhere --target=tiny/expert", "policy must lead to a tokenizer, got 'nowhere'"),
    ("theory --policy=tiny/policy --target=tiny/expert --samples=0", "samples must be at least 1, got 0"),
    ("theory --policy=tiny/policy --target=tiny/expert --sharpen 0", "sharpen must be positive"),
    ("tiny-world --only=judge", "--only must be one of|got judge"),
]
JUDGES = [
    ("evaluate {judged}", "--judge.model must be given for LLMJudge"),
    (
        "evaluate {judged} --judge.model=m",
        "the environment variable OPENAI_API_KEY must hold the key of https://api.op",
    ),
    ("evaluate {judged} {at} --judge.template=nope", "template must be one of alpaca_eval, code, |or a file|got nope"),
    ("evaluate {judged} {at} --judge.template=judge.yaml", "judge.yaml:2: {anser_2} must be one of answer_1, answer_2"),
    ("evaluate {judged} --judge.model=m --judge.base_url=localhost:80", "base_url must be an address|got localhost:80"),
    ("evaluate {judged} --judge.model=m --judge.base_url=http://me:word@h/v1", "base_url must hold no user, password"),
    (
        "evaluate {judged} {at} --judge.key_variable=sk-123",
        "key_variable must name an environment variable|got somethi",
    ),
    (
        "evaluate {judged} {at} --judge.key_variable=NO_SUCH_KEY",
        "the environment variable NO_SUCH_KEY must hold the key",
    ),
    ("evaluate {judged} {at} --judge.api_key=abc", "--judge.api_key: LLMJudge has no such option; known: base_url"),
    ("evaluate {judged} {at} --judge.extra.api_key=abc", "extra must hold no key or password, since results show it"),
    ("evaluate {judged} {at} --judge.order=best", "--judge.order: must be one of 'both', 'seeded', got best"),
    (
        "evaluate {judged} {at} --judge.limits.worker=3",
        "--judge.limits.worker: Limits has no such option; did you mean workers",
    ),
    ("evaluate {judged} {at} --judge.limits.workers=0", "workers must be at least 1, got 0"),
    ("evaluate {judged} {at} --judge.budget.max_cost=3", "input_price and output_price must be given with max_cost"),
]
MISTAKES = [*FIT, *YAML, *CHECKPOINTS, *GENERATE, *EVALUATE, *TOOLS, *JUDGES]
PLACES = {
    "small": " ".join(SHORT),
    "theta": "--model_theta=tiny/policy",
    "expert": "--model_t=tiny/expert",
    "judged": "--answers=chosen --baseline=rejected --dataset=pairs.jsonl --metrics=[] --output=x --judge=LLMJudge",
    "at": "--judge.model=m --judge.base_url=http://127.0.0.1:9/v1",
    "scored": "--dataset=pairs.jsonl",
    "pairs": "--model=SFT --data.path=pairs.jsonl",
    "won": "--model.metrics+=WinRate",
    "harmless": "--model=SFT --model.metrics+=Harmlessness --model.metrics.reward=ClassifierReward",
}
MOST_LINES = 3


@pytest.fixture
def material(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Write the files into the working folder; returns what they hold."""
    for name, text in FILES.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    torch.save({"a": 1}, "plain.ckpt")
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def test_the_table_is_long() -> None:
    assert len(MISTAKES) == len(dict(MISTAKES)) >= 100


@pytest.mark.parametrize(("command", "said"), MISTAKES, ids=[command for command, _ in MISTAKES])
def test_a_mistake_is_one_line(command: str, said: str, material: dict[str, bytes], qstar: Call) -> None:
    code, out, err = qstar(*shlex.split(command.format(**PLACES)))
    assert code == 2, (out, err)
    assert "Traceback" not in out + err
    lines = err.splitlines()
    assert lines[-1].startswith("error: "), err
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    assert len([line for line in lines if not line.startswith("Seed set to")]) <= MOST_LINES, err
    assert [words for words in said.split("|") if words not in lines[-1]] == [], lines[-1]
    assert {name: Path(name).read_bytes() for name in material} == material
