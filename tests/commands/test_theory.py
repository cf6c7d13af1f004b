import pytest


def test_the_command_prints_the_table(qstar, real_data):
    folder = real_data / "tiny_models"
    words = ["--samples=1", "--max_new_tokens=4", "--prompt=One day"]
    code, out, _ = qstar("theory", f"--policy={folder}/babyllama_a", f"--target={folder}/babyllama_b", *words)
    assert code == 0
    for label in ("mean α*", "ESS ratio", "acceptance of π_θ drafts"):
        assert label in out
    code, out, _ = qstar(
        "theory", f"--policy={folder}/babyllama_a", f"--target={folder}/babyllama_b", *words, "--sharpen", "1", "2"
    )
    assert code == 0
    assert out.count("mean α*") == 2
    assert "logits × 2" in out


def test_a_factor_that_is_not_positive_is_refused(qstar):
    code, _, err = qstar("theory", "--policy=tiny/policy", "--target=tiny/expert", "--sharpen", "0")
    assert code == 2
    assert "sharpen must be positive, got [0.0]" in err


@pytest.mark.parametrize("option", ["policy", "target"])
def test_a_model_that_is_not_there_is_called_as_its_option(option: str, qstar) -> None:
    words = {"policy": "tiny/policy", "target": "tiny/expert", option: "nowhere"}
    code, _, err = qstar("theory", *(f"--{name}={value}" for name, value in words.items()))
    assert code == 2
    assert err.startswith(f"error: {option} must lead to a tokenizer, got 'nowhere'")


def test_models_with_other_vocabularies_are_refused_in_one_line(qstar, real_data):
    code, _, err = qstar("theory", f"--policy={real_data}/tiny_models/babyllama_a", "--target=tiny/expert")
    assert code == 2
    assert "target must share the policy's vocabulary" in err
    assert err.count("\n") == 1
