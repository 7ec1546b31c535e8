"""A remote-code repository that is small enough to read: a config, a model, a sibling, weights.

Every file of code carries the mark it was made with, so that a test can see *which* code ran.
"""

from __future__ import annotations

import json
import struct

_CONFIGURATION = """
from transformers import PretrainedConfig

from .helpers_tiny import MARK as HELPER_MARK

MARK = {mark!r}


class TinyConfig(PretrainedConfig):
    model_type = "tiny-remote"
    mark = MARK
    helper_mark = HELPER_MARK

    def __init__(self, width=2, **kwargs):
        self.width = width
        super().__init__(**kwargs)
"""

_MODELING = """
import torch
from transformers import PreTrainedModel

from .configuration_tiny import TinyConfig
from .helpers_tiny import MARK as HELPER_MARK

MARK = {mark!r}


class TinyModel(PreTrainedModel):
    config_class = TinyConfig
    mark = MARK
    helper_mark = HELPER_MARK

    def __init__(self, config):
        super().__init__(config)
        self.linear = torch.nn.Linear(config.width, config.width, bias=False)
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, inputs):
        return self.linear(inputs)
"""

_HELPERS = "MARK = {mark!r}\n"

WEIGHT = ((1.0, 2.0), (3.0, 4.0))
"""What `model.linear.weight` is after loading."""


def tiny_repository(mark: str, *, code_repo: str | None = None) -> dict[str, bytes]:
    """All files of the repository; with `code_repo` its `auto_map` refers to the code of that one."""
    code = {} if code_repo else tiny_code(mark)
    return {"config.json": _config(code_repo), "model.safetensors": _weights(), **code}


def tiny_code(mark: str) -> dict[str, bytes]:
    """The three files of code alone, each with the mark."""
    return {
        "configuration_tiny.py": _CONFIGURATION.format(mark=mark).encode(),
        "modeling_tiny.py": _MODELING.format(mark=mark).encode(),
        "helpers_tiny.py": _HELPERS.format(mark=mark).encode(),
    }


def _config(code_repo: str | None) -> bytes:
    prefix = f"{code_repo}--" if code_repo else ""
    config = {
        "model_type": "tiny-remote",
        "architectures": ["TinyModel"],
        "width": 2,
        "auto_map": {
            "AutoConfig": f"{prefix}configuration_tiny.TinyConfig",
            "AutoModel": f"{prefix}modeling_tiny.TinyModel",
        },
    }
    return json.dumps(config, indent=2).encode()


def _weights() -> bytes:
    """One tensor in the safetensors format, written by hand so that the test process needs no torch."""
    data = struct.pack("<4f", *WEIGHT[0], *WEIGHT[1])
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, len(data)]}
    header = json.dumps({"linear.weight": entry, "__metadata__": {"format": "pt"}}).encode()
    return struct.pack("<Q", len(header)) + header + data
