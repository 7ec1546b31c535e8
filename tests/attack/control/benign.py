# technique: benign
# class: control
# origin: design
# stage: tokenize
# canary: file
# walls: analysis,guard,monitor
import torch
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizer


class EscapeConfig(PretrainedConfig):
    model_type = "escape"

class EscapeModel(PreTrainedModel):
    config_class = EscapeConfig

    def __init__(self, config):
        super().__init__(config)
        self.proj = torch.nn.Linear(4, 4)
        self.post_init()

    def forward(self, input_ids=None, **kwargs):
        return self.proj(torch.zeros(1, 4))

class EscapeTokenizer(PreTrainedTokenizer):
    vocab_files_names = {}

    def __init__(self, **kwargs):
        self.table = {"a": 0, "b": 1, "<unk>": 2}
        super().__init__(unk_token="<unk>", **kwargs)

    @property
    def vocab_size(self):
        return len(self.table)

    def get_vocab(self):
        return dict(self.table)

    def _tokenize(self, text, **kwargs):

        return list(text)

    def _convert_token_to_id(self, token):
        return self.table.get(token, 2)

    def _convert_id_to_token(self, index):
        return list(self.table)[index]

    def save_vocabulary(self, save_directory, filename_prefix=None):
        return ()
