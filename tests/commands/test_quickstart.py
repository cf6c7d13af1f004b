import io

from seed_results import result

from qstar_pl.commands.quickstart import print_summary
from qstar_pl.console import SpellingConsole
from qstar_pl.experiments.seeds import SeedResult


def test_summary_counts_the_seeds_that_rose_and_does_not_hide_those_that_fell():
    text = io.StringIO()
    rose = print_summary([result(0, 0.5, 0.7), result(1, 0.5, 0.4)], SpellingConsole(file=text, width=80))
    assert rose == 1
    assert "rose in 1 of 2 seeds, by +0.05" in text.getvalue()
    assert "0.50 → 0.70" in text.getvalue()
    assert "0.50 → 0.40" in text.getvalue()
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert next(line for line in lines if line.startswith("gold, proxy")).endswith("after, nats")


def test_what_another_configuration_does_not_log_is_a_dash():
    text = io.StringIO()
    bare = SeedResult(0, {"val/perplexity": 3.0}, {"val/perplexity": 2.0}, {"loss/total": [(1, 2.0)]}, 3.0)
    assert print_summary([bare], SpellingConsole(file=text, width=80)) == 0
    assert "rose in" not in text.getvalue()
    (row,) = (line for line in text.getvalue().splitlines() if " 3 " in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["0", *["–"] * 6, "3"]


def test_the_command_trains_prints_and_draws(qstar, repository, tmp_path):
    code, out, err = qstar(
        "quickstart",
        f"--config={repository}/configs/experiment/quickstart.yaml",
        f"--output={tmp_path}",
        "--trainer.max_steps=2",
        "--data.val_limit=4",
        "--model.sampler.max_new_tokens=6",
    )
    assert code == 0, err
    assert "gold reward rose in" in out
    assert "\nQStar on tiny " in out
    assert (tmp_path / "quickstart.png").is_file()
    assert (tmp_path / "seed_0").is_dir()


def test_mistakes_are_one_line(qstar):
    for words, message in (
        (("--figure=a.gif",), "--figure must end in .png, .pdf or .svg, got a.gif"),
        (("--seeds=0",), "seeds must be at least 1, got 0"),
        (("--config=nowhere.yaml",), "config must be a file, or one of those"),
    ):
        code, _, err = qstar("quickstart", *words)
        assert code == 2
        assert message in err
        assert err.count("\n") == 1
