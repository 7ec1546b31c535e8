"""A model that does what its author likes, with your rights: when it is imported, and whenever it runs.

It is part of the demo and harmless: all it does is to create two files in the current folder, a throw-away one.
"""

import os

import torch
from transformers import PreTrainedModel

from .configuration_friendly import FriendlyConfig

# Where real attacks read ~/.ssh or fetch a second stage, this one leaves a file in the current folder.
os.system("touch canary-at-import")


class FriendlyModel(PreTrainedModel):
    config_class = FriendlyConfig

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(config.hidden_size, config.hidden_size)
        self.post_init()

    def forward(self, values):
        with open("canary-at-forward", "w") as canary:
            canary.write("and here, in the middle of a forward\n")
        return self.layer(values)
