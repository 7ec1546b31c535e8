"""Trains one fixture with the Trainer, and writes down what happened; run natively and guarded.

    python tests/models/training.py native|guarded DIR OUT.json [--lock remote-code.lock]

The rules are those of `tests/driver.py`: digests, numbers and names only, nothing timed, no path.
"""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import driver
from modelcases import IGNORED_LABEL, case_of, picture

WORDS: Final = "the small cat reads a model on mat and tree we test code what it is".split()
STEPS: Final = 6
SAVED_AT: Final = 3
#: Of the history, what is not measured with a clock.
_TIMED: Final = ("runtime", "per_second", "memory", "total_flos")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is trained: a folder, its preprocessor, its data."""

    folder: Path
    auto_class: str
    preprocessor: Any
    dataset: list[dict[str, Any]]
    collate: Callable[[list[dict[str, Any]]], dict[str, Any]]
    scratch: Path

    def model(self) -> Any:
        return driver.built(self.auto_class, self.folder, "cpu").train()


def texts(count: int) -> list[str]:
    """Sentences of different length, so that every batch has padding."""
    turning = WORDS * 4
    return [" ".join(turning[start * 3 : start * 3 + 3 + start % 4]) for start in range(count)]


def labelled(inputs: dict[str, Any], ignored_token: int) -> dict[str, Any]:
    """`inputs` with positions that skip the padding, and labels that leave it out."""
    place = inputs["attention_mask"].cumsum(-1)
    ignored = (place <= 1) | (inputs["input_ids"] == ignored_token)
    positions = (place - 1).clamp(min=0)
    return {**inputs, "position_ids": positions, "labels": inputs["input_ids"].masked_fill(ignored, IGNORED_LABEL)}


def subject_of(folder: Path, scratch: Path) -> Subject:
    case = case_of(folder)
    preprocessor = driver.auto(case.preprocessor).from_pretrained(folder, trust_remote_code=True)

    def text_batch(items: list[dict[str, Any]]) -> dict[str, Any]:
        return labelled(dict(preprocessor([item["text"] for item in items], padding=True, return_tensors="pt")), -1)

    def picture_batch(items: list[dict[str, Any]]) -> dict[str, Any]:
        pictures = [picture(*item["size"]) for item in items]
        prompts = [f"<image> {item['text']}" for item in items]
        inputs = dict(preprocessor(images=pictures, text=prompts, return_tensors="pt"))
        return labelled(inputs, preprocessor.tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"))

    sizes = [(80, 40), (30, 30), (30, 60)]
    dataset = [{"text": text, "size": sizes[index % 3]} for index, text in enumerate(texts(12))]
    return Subject(
        folder=folder, auto_class=case.auto_class, preprocessor=preprocessor, dataset=dataset,
        collate=picture_batch if case.name == "vision_language" else text_batch, scratch=scratch,
    )  # fmt: skip


def recording() -> Any:
    """A callback that notes each event with the step at which it came."""
    from transformers import TrainerCallback

    class Recorder(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
        def __init__(self) -> None:
            self.events: list[str] = []

    def noting(name: str) -> Any:
        def note(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.events.append(f"{name[3:]}@{state.global_step}")

        return note

    for name in [name for name in dir(TrainerCallback) if name.startswith("on_")]:
        setattr(Recorder, name, noting(name))
    return Recorder()


def steering() -> Any:
    """A callback that uses every flag of the control: what it asks for must happen."""
    from transformers import TrainerCallback

    class Steer(TrainerCallback):  # type: ignore[misc]  # as above
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            control.should_log = state.global_step == 1
            control.should_epoch_stop = state.global_step == 2
            control.should_save = control.should_evaluate = state.global_step == 3
            control.should_training_stop = state.global_step == 4
            return control

    return Steer()


def trainer_of(subject: Subject, name: str, callbacks: list[Any], **settings: Any) -> Any:
    import torch
    from transformers import Trainer, TrainingArguments

    torch.manual_seed(driver.SEED)
    model = subject.model()
    arguments = TrainingArguments(
        output_dir=str(subject.scratch / name), max_steps=STEPS, per_device_train_batch_size=2,
        per_device_eval_batch_size=4, gradient_accumulation_steps=2, learning_rate=1e-2, logging_steps=1,
        logging_first_step=True, remove_unused_columns=False, label_names=["labels"], report_to=[], seed=driver.SEED,
        include_num_input_tokens_seen=True, disable_tqdm=True, use_cpu=True, **settings,
    )  # fmt: skip
    return Trainer(
        model=model, args=arguments, train_dataset=subject.dataset, eval_dataset=subject.dataset[:4],
        data_collator=subject.collate, callbacks=callbacks, processing_class=subject.preprocessor,
    )  # fmt: skip


def history(state: Any) -> list[dict[str, Any]]:
    """The log of a training, without what a clock measured."""
    return [{key: value for key, value in entry.items() if not key.endswith(_TIMED)} for entry in state.log_history]


def outcome(trainer: Any) -> dict[str, Any]:
    state = trainer.state
    return {
        "history": history(state),
        "steps": state.global_step,
        "epoch": state.epoch,
        "tokens": state.num_input_tokens_seen,
        "parameters": driver.digests_of(trainer.model.state_dict()),
    }


def run_whole(subject: Subject) -> dict[str, Any]:
    """Training, evaluation and prediction, with every event recorded."""
    recorder = recording()
    trainer = trainer_of(subject, "whole", [recorder], save_steps=SAVED_AT, save_strategy="steps",
                         eval_strategy="steps", eval_steps=SAVED_AT)  # fmt: skip
    result = trainer.train()
    predicted = trainer.predict(subject.dataset[:4]).predictions
    first = predicted[0] if isinstance(predicted, tuple) else predicted
    return {
        **outcome(trainer),
        "loss": result.training_loss,
        "predicted": driver.digest(first.tobytes()),
        "events": recorder.events,
        "accepts-count": trainer.model_accepts_loss_kwargs,
        "best": trainer.evaluate()["eval_loss"],
    }


def run_steered(subject: Subject) -> dict[str, Any]:
    never = dict.fromkeys(["save_strategy", "eval_strategy", "logging_strategy"], "no")
    trainer = trainer_of(subject, "steered", [steering()], **never)
    trainer.train()
    saved = sorted(path.name for path in (subject.scratch / "steered").glob("checkpoint-*"))
    return {**outcome(trainer), "saved": saved}


def checkpoint_of(subject: Subject) -> Path:
    return subject.scratch / "whole" / f"checkpoint-{SAVED_AT}"


def run_checkpoint(subject: Subject) -> dict[str, Any]:
    """What lies in a checkpoint, and what a model that is loaded from it says."""
    from transformers import TrainerState

    folder = checkpoint_of(subject)
    state = TrainerState.load_from_json(str(folder / "trainer_state.json"))
    model = driver.loaded(subject.auto_class, folder, "cpu")
    batch = subject.collate(subject.dataset[:2])
    return {
        "files": sorted(path.name for path in folder.iterdir()),
        "code": {path.name: driver.digest(path.read_bytes()) for path in sorted(folder.glob("*.py"))},
        "step": state.global_step,
        "history": history(state),
        "forward": driver.forward(model, batch),
        "preprocessor": driver.digests_of(subject_of_checkpoint(subject, folder)),
    }


def subject_of_checkpoint(subject: Subject, folder: Path) -> dict[str, Any]:
    reloaded = subject_of(folder, subject.scratch)
    return reloaded.collate(subject.dataset[:2])


def run_resumed(subject: Subject) -> dict[str, Any]:
    trainer = trainer_of(subject, "resumed", [], save_strategy="no", eval_strategy="steps", eval_steps=SAVED_AT)
    trainer.train(resume_from_checkpoint=str(checkpoint_of(subject)))
    return outcome(trainer)


def run_ignored(subject: Subject) -> dict[str, Any]:
    """The loss is that of the labels which are not -100, whatever stands in the places of those."""
    import torch

    model = subject.model().eval()
    batch = subject.collate(subject.dataset[:2])
    padding = batch["labels"] == IGNORED_LABEL
    other = copy.copy(batch)
    other["labels"] = batch["labels"].clone()
    with torch.no_grad():
        output = model(**batch)
        count = (batch["labels"][..., 1:] != IGNORED_LABEL).sum()
        by_count = model(**batch, num_items_in_batch=count).loss
        other["labels"][padding] = 1
        counted = model(**other).loss
    logits, targets = output.logits[..., :-1, :].flatten(0, -2), batch["labels"][..., 1:].flatten()
    kept = targets != IGNORED_LABEL
    expected = torch.nn.functional.cross_entropy(logits[kept].float(), targets[kept])
    return {
        "padding": int(padding.sum()),
        "loss": float(output.loss),
        "expected": float(expected),
        "by-count": float(by_count),
        "with-padding": float(counted),
    }


def run_changed(subject: Subject) -> dict[str, str]:
    """The checkpoint with one byte of one file changed: which error the loading of its classes raises.

    By the loader itself: transformers 5 remembers the model class of a configuration class, and does not ask
    for the changed file again in the process that trained.
    """
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    from safe_remote_code.fetch import open_source
    from safe_remote_code.fetch.entry_points import references
    from safe_remote_code.reference import parse_source

    found = {}
    for name in sorted(path.name for path in checkpoint_of(subject).glob("*.py")):
        folder = subject.scratch / "changed" / name.removesuffix(".py")
        shutil.copytree(checkpoint_of(subject), folder)
        (folder / name).write_bytes((folder / name).read_bytes() + b"#")
        try:
            for reference in references(open_source(parse_source(folder))):
                get_class_from_dynamic_module(reference, folder)
            found[name] = "loaded"
        except Exception as error:
            found[name] = type(error).__name__
    return found


def main() -> None:
    arguments = driver.parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        driver.isolate(scratch)
        driver.make_deterministic()
        with driver.loading_of(arguments):
            subject = subject_of(arguments.directory, scratch)
            results = {
                "ignored": run_ignored(subject),
                "whole": run_whole(subject),
                "steered": run_steered(subject),
                "checkpoint": run_checkpoint(subject),
                "resumed": run_resumed(subject),
            }
            changed = run_changed(subject) if arguments.mode == "guarded" else {}
    document = {"results": results, "changed": changed}
    arguments.out.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
