# Recipes run in the activated environment: ./dev makes one and calls them, as in ./dev quickstart

# List the recipes.
default:
    @just --list --unsorted

# Train q* on the tiny world: a summary and a figure in a few minutes (e.g. `just quickstart --seeds 5`).
quickstart *args:
    @python -m qstar_pl quickstart {{args}}

# PPO against q* at equally many samples, three seeds each: the quick validation.
mvp *args:
    @python -m qstar_pl experiment mvp {{args}}

# Lint, types and tests; words after it go to pytest (e.g. `just test -k solver`, `just test -m slow`).
test *args: lint
    OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile {{args}}

# The logits processor inside vLLM, and training with it, in an environment of its own (.venv-vllm or $QSTAR_VLLM_VENV), made on first use.
test-vllm *args:
    sh tests/integrations/vllm.sh {{args}}

# Ruff (rules and format), mypy, and bandit, whose findings are explained where they are (`# nosec`).
lint:
    ruff check .
    ruff format --check .
    mypy
    bandit --quiet --recursive --configfile pyproject.toml src/qstar_pl

# One of the measurements in benchmarks/ (e.g. `just bench solver`); without a name, what there is.
bench name="" *args:
    @if [ -z "{{name}}" ]; then grep -l __main__ benchmarks/*.py; else python "benchmarks/{{name}}.py" {{args}}; fi

# The documentation as a site in build/site; --serve shows it on 127.0.0.1. A dead link fails.
docs *args:
    @python docs/site/build.py {{args}}

# Rebuild the embedded data, tokenizer and models.
tiny-world *args:
    python -m qstar_pl tiny-world {{args}}

# Remove what tools leave behind; runs/ and wandb/ stay.
clean:
    rm -rf build dist .mypy_cache .ruff_cache .pytest_cache
    find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
