"""Trains the model with the Trainer, alone or as a rank of torchrun; prints one line of JSON.

    train.py MODEL OUT [--resume]
"""

import hashlib
import json
import os
import sys

import torch
from torch.utils.data import Dataset
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments
from whereabouts import report

WORDS = "the small cat reads a model on mat and tree we test code what it is".split()


class Texts(Dataset):
    def __init__(self, tokenizer):
        turning = WORDS * 4
        self.items = [tokenizer(" ".join(turning[n : n + 6]))["input_ids"][:6] for n in range(16)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, place):
        ids = torch.tensor(self.items[place])
        return {"input_ids": ids, "labels": ids}


def main():
    folder, out = sys.argv[1:3]
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    arguments = TrainingArguments(
        output_dir=out, max_steps=4, save_steps=2, per_device_train_batch_size=2, report_to=[], use_cpu=True,
        disable_tqdm=True, seed=3, logging_strategy="no", lr_scheduler_type="constant", learning_rate=1e-3,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=Texts(tokenizer), processing_class=tokenizer)
    trainer.train(resume_from_checkpoint=f"{out}/checkpoint-2" if "--resume" in sys.argv else None)
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    rank = os.environ.get("RANK", "0")
    with open(f"{out}/rank-{rank}.json", "w") as stream:
        json.dump({"weights": digest.hexdigest(), **report()}, stream)


if __name__ == "__main__":
    main()
    if torch.distributed.is_initialized():
        # A rank may abort as the threads of its group are torn down by the interpreter, natively too.
        torch.distributed.destroy_process_group()
        sys.stdout.flush()
        os._exit(0)
