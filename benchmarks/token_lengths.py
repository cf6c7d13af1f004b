"""How many tokens the tiny world's prompts and good answers have: `python benchmarks/token_lengths.py`."""

from itertools import islice
from statistics import mean

from qstar_pl.data import TinyWorld
from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.models.tokenizers import load_tokenizer

ROWS = 1000


def main() -> None:
    tokenizer = load_tokenizer("tiny")
    print(f"{len(tokenizer)} tokens; over {ROWS} rows of each task, mean (longest):")
    for task in ("dialogue", "summary", "code"):
        adapter = TinyWorld(tasks=(task,), size=ROWS)
        examples = [adapter.example(row, where) for where, row in islice(adapter.rows("tiny", None), ROWS)]
        if task == "dialogue":
            examples = [example for example in examples if len(example.turns) == 1]
        texts = {
            "prompt": [dialogue_prompt(example.turns) for example in examples],
            "answer": [" " + (example.chosen or "") for example in examples],
        }
        for name, of_task in texts.items():
            lengths = [len(tokenizer(text)["input_ids"]) for text in of_task]
            print(f"  {task:9}{name:8}{mean(lengths):6.1f} ({max(lengths)})")


if __name__ == "__main__":
    main()
