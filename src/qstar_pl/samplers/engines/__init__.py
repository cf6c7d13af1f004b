"""Engines: who draws the tokens of an `EngineSampler`, from weights that are pushed into them."""

from qstar_pl.samplers.engines.engine import Engine as Engine
from qstar_pl.samplers.engines.engine import Generated as Generated
from qstar_pl.samplers.engines.engine import Job as Job
from qstar_pl.samplers.engines.engine import RunningEngine as RunningEngine
from qstar_pl.samplers.engines.local import LocalEngine as LocalEngine
from qstar_pl.samplers.engines.vllm import VLLMEngine as VLLMEngine
from qstar_pl.samplers.engines.vllm_server import VLLMServer as VLLMServer
