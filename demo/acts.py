"""The acts, one process each: `python -m demo.acts NAME`, run in the demo's folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from .stage import LOCKFILE, StepFailedError, expect, show

_STEPS: Final = 24
_SENTENCES: Final = (
    "the cat sat on the mat.",
    "we read the code of a small model.",
    "the user was in the tree.",
    "it is what we test: a small model.",
)
_PROMPT: Final = "the cat sat"


def native_hostile() -> None:
    """transformers alone: the code of the repository runs as its author likes."""
    import torch
    from transformers import AutoConfig, AutoModel

    show('config = AutoConfig.from_pretrained("./hostile_repository", trust_remote_code=True)')
    show("model = AutoModel.from_config(config, trust_remote_code=True)")
    config = AutoConfig.from_pretrained("./hostile_repository", trust_remote_code=True)
    model = AutoModel.from_config(config, trust_remote_code=True)
    expect(Path("canary-at-import").exists(), "the hostile code ran a shell command while it was imported")
    show("model(torch.ones(1, 8))")
    model(torch.ones(1, 8))
    expect(Path("canary-at-forward").exists(), "the hostile code wrote a file in the middle of a forward")


def guarded_hostile() -> None:
    """Through us: refused, before a line of it ran."""
    refusal = _refusal("./hostile_repository", "AutoModel")
    show(refusal)
    expect(bool(refusal), "refused")


def model() -> None:
    """Everything that one does with a model, with remote code that came through the walls."""
    import torch
    import transformers

    import safe_remote_code

    torch.manual_seed(0)
    show(f'with safe_remote_code.installed(lockfile="{LOCKFILE}"):')
    show('    config = AutoConfig.from_pretrained("./small_model", trust_remote_code=True)')
    show('    tokenizer = AutoTokenizer.from_pretrained("./small_model", trust_remote_code=True)')
    show("    model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)")
    with safe_remote_code.installed(lockfile=LOCKFILE):
        config = transformers.AutoConfig.from_pretrained("./small_model", trust_remote_code=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained("./small_model", trust_remote_code=True)
        net = transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=True)
        expect(True, f"loaded {type(net).__name__}, {net.num_parameters():,} parameters, from pinned code")
        before = _continuation(net, tokenizer)
        expect(before.startswith(_PROMPT), f"untrained, it continues: {before!r}")
        _train(net, tokenizer)
        after = _continuation(net, tokenizer)
        expect(after.startswith(_PROMPT) and after != before, f"trained, it continues: {after!r}")
        _save_and_reload(net, tokenizer)


def changed_model() -> None:
    """One byte of the pinned code is another."""
    refusal = _refusal("./small_model", "AutoModelForCausalLM")
    show(refusal)
    expect("modeling_larch.py" in refusal, "refused, and the file is named")


def _refusal(repository: str, auto_class: str) -> str:
    """The reason that loading the model class of `repository` is refused."""
    import transformers

    import safe_remote_code

    show(f'with safe_remote_code.installed(lockfile="{LOCKFILE}"):')
    show(f'    config = AutoConfig.from_pretrained("{repository}", trust_remote_code=True)')
    show(f"    {auto_class}.from_config(config, trust_remote_code=True)")
    with safe_remote_code.installed(lockfile=LOCKFILE):
        try:
            config = transformers.AutoConfig.from_pretrained(repository, trust_remote_code=True)
            getattr(transformers, auto_class).from_config(config, trust_remote_code=True)
        except safe_remote_code.RefusedError as error:
            return str(error)
    raise StepFailedError("it was loaded")


def _continuation(net: Any, tokenizer: Any) -> str:
    inputs = tokenizer([_PROMPT], return_tensors="pt")
    tokens = net.eval().generate(**inputs, max_new_tokens=6, do_sample=False)
    return str(tokenizer.decode(tokens[0], skip_special_tokens=True))


def _train(net: Any, tokenizer: Any) -> None:
    """A few steps of the ordinary Trainer; the labels of padding are -100, which no loss counts."""
    import transformers

    def collate(sentences: list[dict[str, str]]) -> dict[str, Any]:
        texts = [item["text"] + tokenizer.eos_token for item in sentences]
        batch = dict(tokenizer(texts, padding=True, return_tensors="pt"))
        batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        return batch

    arguments = transformers.TrainingArguments(
        output_dir="trained", max_steps=_STEPS, per_device_train_batch_size=len(_SENTENCES), learning_rate=1e-2,
        logging_steps=_STEPS // 6, disable_tqdm=True, report_to=[], save_strategy="no", remove_unused_columns=False,
        use_cpu=True, seed=0,
    )  # fmt: skip
    trainer = transformers.Trainer(
        model=net, args=arguments, train_dataset=[{"text": text} for text in _SENTENCES], data_collator=collate
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    for number, loss in enumerate(losses, start=1):
        show(f"step {number * _STEPS // 6:>3}  loss {float(loss):.3f}")
    expect(float(losses[-1]) < float(losses[0]), f"{_STEPS} steps of Trainer, and the loss falls")


def _save_and_reload(net: Any, tokenizer: Any) -> None:
    import torch
    import transformers

    show('model.save_pretrained("saved")')
    show('again = AutoModelForCausalLM.from_pretrained("./saved", trust_remote_code=True)')
    net.save_pretrained("saved")
    tokenizer.save_pretrained("saved")
    again = transformers.AutoModelForCausalLM.from_pretrained("./saved", trust_remote_code=True).eval()
    reader = transformers.AutoTokenizer.from_pretrained("./saved", trust_remote_code=True)
    inputs = reader([_PROMPT], return_tensors="pt")
    with torch.no_grad():
        equal = torch.equal(net.eval()(**inputs).logits, again(**inputs).logits)
    code = sorted(path.name for path in Path("saved").glob("*.py"))
    expect(equal, "the reloaded model gives the same outputs, bit for bit")
    expect("modeling_larch.py" in code, f"saved with its code, which loads under the same pin: {', '.join(code)}")


ACTS: Final[dict[str, Callable[[], None]]] = {
    act.__name__: act for act in (native_hostile, guarded_hostile, model, changed_model)
}


def main() -> int:
    """Play one act; 1 if it did not go as it is told."""
    try:
        ACTS[sys.argv[1]]()
    except StepFailedError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
