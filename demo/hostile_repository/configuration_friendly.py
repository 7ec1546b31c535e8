"""An ordinary configuration: hostile code rarely looks hostile in every file."""

from transformers import PretrainedConfig


class FriendlyConfig(PretrainedConfig):
    model_type = "friendly"

    def __init__(self, hidden_size=8, **kwargs):
        self.hidden_size = hidden_size
        super().__init__(**kwargs)
