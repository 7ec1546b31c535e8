"""Does everything one does with a loaded model, and writes down what came out.

    python tests/driver.py native  DIR OUT.json
    python tests/driver.py guarded DIR OUT.json --lock remote-code.lock

Run once in each mode, in processes of their own, over the same folder: the two files must be equal. Hence
the rules: a result holds digests, token ids and names only; no path, no module name and no time; whatever is
random is seeded right before it is drawn.

This script does not compare and does not judge. What fails natively fails here, with its traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import hashlib
import inspect
import json
import os
import pickle
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

sys.path.insert(0, str(Path(__file__).resolve().parent))

from modelcases import Inputs, ModelCase, case_of

SEED: Final = 0
FORMAT_VERSION: Final = 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One fixture, loaded: what the steps below work on."""

    case: ModelCase
    directory: Path
    scratch: Path
    device: str
    model: Any
    preprocessor: Any

    def inputs(self) -> Inputs:
        return {name: tensor.to(self.device) for name, tensor in self.case.inputs(self.preprocessor).items()}

    def training_inputs(self) -> Inputs:
        inputs = self.case.training_inputs(self.preprocessor)
        return {name: tensor.to(self.device) for name, tensor in inputs.items()}


# --- digests -------------------------------------------------------------------------------------


def digest(*parts: bytes) -> str:
    """SHA-256 over parts that cannot run into each other."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "big"))
        sha.update(part)
    return sha.hexdigest()


def tensor_digest(tensor: Any) -> str:
    """Digest of dtype, shape and every bit of a tensor."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    described = f"{tensor.dtype} {tuple(tensor.shape)}"
    return digest(described.encode(), flat.view(torch.uint8).numpy().tobytes())


def tensors_of(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The tensors in a nest of mappings and sequences, each with its path; a KV cache is left out."""
    import torch

    if torch.is_tensor(value):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from tensors_of(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            yield from tensors_of(item, f"{name}[{index}]")


def digests_of(value: Any) -> dict[str, str]:
    return {name: tensor_digest(tensor) for name, tensor in tensors_of(value)}


# --- loading -------------------------------------------------------------------------------------


def auto(name: str) -> Any:
    import transformers

    return getattr(transformers, name)


def built(auto_class: str, directory: Path, device: str) -> Any:
    """A model with seeded weights, for which no checkpoint is needed."""
    import torch

    config = auto("AutoConfig").from_pretrained(directory, trust_remote_code=True)
    torch.manual_seed(SEED)
    return auto(auto_class).from_config(config, trust_remote_code=True).eval().to(device)


def loaded(auto_class: str, directory: Path, device: str) -> Any:
    return auto(auto_class).from_pretrained(directory, trust_remote_code=True).eval().to(device)


def open_session(directory: Path, scratch: Path, device: str) -> Session:
    case = case_of(directory)
    return Session(
        case=case,
        directory=directory,
        scratch=scratch,
        device=device,
        model=built(case.auto_class, directory, device),
        preprocessor=auto(case.preprocessor).from_pretrained(directory, trust_remote_code=True),
    )


def forward(model: Any, inputs: Inputs) -> dict[str, str]:
    import torch

    with torch.no_grad():
        return digests_of(model(**inputs))


# --- steps: each gives one entry of the result -----------------------------------------------------


def describe(session: Session) -> Any:
    """What the class says about itself: source, signature, names."""
    model_class = type(session.model)
    return {
        "class": model_class.__name__,
        "config": type(session.model.config).__name__,
        "bases": [base.__name__ for base in model_class.__mro__],
        "signature": str(inspect.signature(session.model.forward)),
        "source": digest(inspect.getsource(model_class).encode()),
        "module-source": digest(inspect.getsource(inspect.getmodule(model_class) or model_class).encode()),
        "forward-source": digest(inspect.getsource(model_class.forward).encode()),
        "repr": digest(repr(session.model).encode()),
    }


def parameters(session: Session) -> Any:
    model = session.model
    return {
        "total": model.num_parameters(),
        "trainable": model.num_parameters(only_trainable=True),
        "counted": sum(parameter.numel() for parameter in model.parameters()),
        "values": digests_of(model.state_dict()),
    }


def run_forward(session: Session) -> Any:
    everything = {"output_hidden_states": True, "output_attentions": True}
    return {
        "inputs": digests_of(session.inputs()),
        "plain": forward(session.model, session.inputs()),
        "everything": forward(session.model, {**session.inputs(), **everything}),
        "tuple": forward(session.model, {**session.inputs(), "return_dict": False}),
    }


def run_other_heads(session: Session) -> Any:
    return {
        head: forward(built(head, session.directory, session.device), session.inputs())
        for head in session.case.other_heads
    }


def gradients(model: Any, inputs: Inputs) -> dict[str, str]:
    """Loss and gradients of one backward pass in training mode."""
    import torch

    model.train()
    model.zero_grad()
    torch.manual_seed(SEED)
    loss = model(**inputs).loss
    loss.backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    result = {"loss": tensor_digest(loss), **digests_of(found)}
    model.zero_grad()
    model.eval()
    return result


def run_backward(session: Session) -> Any:
    inputs = session.training_inputs()
    counted = (inputs["labels"] != -100).sum()
    plain = gradients(session.model, inputs)
    by_count = gradients(session.model, {**inputs, "num_items_in_batch": counted})
    # on a copy: 5.x leaves a hook in the model that cannot be pickled, also after checkpointing is disabled
    checkpointing = copy.deepcopy(session.model)
    checkpointing.gradient_checkpointing_enable()
    checkpointed = gradients(checkpointing, inputs)
    return {"plain": plain, "num-items": by_count, "checkpointed": checkpointed}


def run_generate(session: Session) -> Any:
    import torch

    results: dict[str, Any] = {}
    for name, arguments in session.case.generations.items():
        torch.manual_seed(SEED)
        results[name] = session.model.generate(**session.inputs(), **arguments).tolist()
    return results


def run_chat(session: Session) -> Any:
    """A method that only the remote class has."""
    if not hasattr(session.model, "chat"):
        return None
    tiles = session.inputs()["pixel_values"][:1]
    arguments = {"max_new_tokens": 8, "do_sample": False}
    answer, history = session.model.chat(
        session.preprocessor.tokenizer, tiles, "what is it", arguments, return_history=True
    )
    return {"answer": answer, "turns": len(history)}


def run_save_and_load(session: Session) -> Any:
    """from_pretrained of a checkpoint that holds the repository's files, then of what it saves."""
    checkpoint, saved = session.scratch / "checkpoint", session.scratch / "saved"
    shutil.copytree(session.directory, checkpoint)
    session.model.save_pretrained(checkpoint)
    model = loaded(session.case.auto_class, checkpoint, session.device)
    model.save_pretrained(saved)
    session.preprocessor.save_pretrained(saved)
    reloaded = loaded(session.case.auto_class, saved, session.device)
    preprocessor = auto(session.case.preprocessor).from_pretrained(saved, trust_remote_code=True)
    return {
        "files": sorted(path.name for path in saved.iterdir()),
        "code": {path.name: digest(path.read_bytes()) for path in sorted(saved.glob("*.py"))},
        "vocabulary": {path.name: digest(path.read_bytes()) for path in sorted(saved.glob("*vocab*"))},
        "loaded": forward(model, session.inputs()),
        "reloaded": forward(reloaded, session.inputs()),
        "parameters": digests_of(reloaded.state_dict()),
        "inputs": digests_of(session.case.inputs(preprocessor)),
    }


def run_precisions(session: Session) -> Any:
    import torch

    halved = copy.deepcopy(session.model).half()
    half = forward(halved, session.inputs())
    back = forward(halved.float(), session.inputs())
    bfloat16 = forward(copy.deepcopy(session.model).to(torch.bfloat16), session.inputs())
    return {"half": half, "float-again": back, "bfloat16": bfloat16}


def run_copies(session: Session) -> Any:
    pickled = pickle.loads(pickle.dumps(session.model))
    preprocessor = pickle.loads(pickle.dumps(session.preprocessor))
    config = copy.deepcopy(session.model.config)
    return {
        "deepcopy": forward(copy.deepcopy(session.model), session.inputs()),
        "pickle": forward(pickled, session.inputs()),
        "same-class": type(pickled) is type(session.model),
        "preprocessor": digests_of(session.case.inputs(preprocessor)),
        "config": config.to_dict() == session.model.config.to_dict(),
    }


def run_tokenizer(session: Session) -> Any:
    tokenizer = getattr(session.preprocessor, "tokenizer", session.preprocessor)
    ids = session.case.inputs(session.preprocessor)["input_ids"]
    text = "The small cat, reading 42 models!"
    return {
        "size": len(tokenizer),
        "vocabulary": digest(json.dumps(sorted(tokenizer.get_vocab().items())).encode()),
        "tokens": tokenizer.tokenize(text),
        "ids": tokenizer(text)["input_ids"],
        "decoded": tokenizer.batch_decode(ids, skip_special_tokens=True),
    }


def run_compile(session: Session) -> Any:
    """Tracing without a graph break; eager backend, because inductor's own time and rounding are not the point."""
    import torch

    if not session.case.compiles:
        return None
    torch._dynamo.reset()
    compiled = torch.compile(session.model, fullgraph=True, backend="eager")
    return forward(compiled, session.inputs())


STEPS: Final[Mapping[str, Callable[[Session], Any]]] = {
    "class": describe,
    "parameters": parameters,
    "forward": run_forward,
    "other-heads": run_other_heads,
    "backward": run_backward,
    "generate": run_generate,
    "chat": run_chat,
    "save-and-load": run_save_and_load,
    "precisions": run_precisions,
    "copies": run_copies,
    "tokenizer": run_tokenizer,
    "compile": run_compile,
}


# --- the script ----------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("mode", choices=("native", "guarded"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--lock", type=Path, help="lockfile of the guarded mode")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if (arguments.mode == "guarded") != (arguments.lock is not None):
        parser.error("--lock goes with the guarded mode, and only with it")
    return arguments


def isolate(scratch: Path) -> None:
    """Before transformers is imported: a module cache of this process alone, and no network."""
    os.environ["HF_MODULES_CACHE"] = str(scratch / "modules")
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def make_deterministic() -> None:
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    warnings.simplefilter("ignore")


def loading_of(arguments: argparse.Namespace) -> AbstractContextManager[Any]:
    if arguments.mode == "native":
        return contextlib.nullcontext()
    import safe_remote_code

    guard: AbstractContextManager[Any] = safe_remote_code.installed(policy="default", lockfile=arguments.lock)
    return guard


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        isolate(scratch)
        make_deterministic()
        with loading_of(arguments):
            session = open_session(arguments.directory, scratch, arguments.device)
            results = {name: step(session) for name, step in STEPS.items()}
    document = {"version": FORMAT_VERSION, "results": results}
    arguments.out.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
