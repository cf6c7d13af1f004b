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


def test_a_claim_is_shown_with_its_numbers(qstar):
    code, out, _ = qstar("theory", "claims", "token-by-token")
    assert code == 0
    assert out.startswith("token-by-token: false\n")
    assert "D(q_tok‖q_seq), nats" in out
    assert out.endswith("1 of 1 verdicts confirmed by their numbers\n")


def test_a_number_off_its_verdict_is_an_error(qstar, monkeypatch):
    from qstar_pl.theory.claim import Claim, Finding, Verdict
    from qstar_pl.theory.claims import every

    def planted() -> Claim:
        return Claim("planted", "All is well.", Verdict.TRUE, "So it is said.", (Finding("error", 1.0, high=0.5),))

    monkeypatch.setattr(every, "CLAIMS", (planted,))
    code, out, err = qstar("theory", "claims")
    assert code == 1
    assert "planted: true   NOT CONFIRMED" in out
    assert err == "error: not confirmed: planted\n"


def test_a_claim_that_is_not_there(qstar):
    code, _, err = qstar("theory", "claims", "token-by-tokn")
    assert code == 2
    assert err == "error: name must be one of the claims, got token-by-tokn; did you mean token-by-token?\n"


def test_a_part_that_is_not_there(qstar):
    code, _, err = qstar("theory", "clams")
    assert code == 2
    assert err == "error: theory must be followed by claims, pictures or options, got clams; did you mean claims?\n"


def test_pictures_have_the_format_that_is_asked_for(qstar, tmp_path):
    code, out, _ = qstar("theory", "pictures", f"--output={tmp_path}/p", "--format=png")
    assert code == 0
    assert [path.suffix for path in (tmp_path / "p").iterdir()] == [".png"] * len(out.split())
