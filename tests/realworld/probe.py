"""Loads one repository in this fresh process, exercises it, and writes what came out as digests.

    probe.py native|guarded REPO_DIR SPEC_NAME OUT.json [--specs FILE] [--lockfile FILE] [--policy NAME]

Both modes run the same steps with the same seeds; only the `with` around them differs. Each step writes a digest or
the error that ended it, and later steps that need it are left out. Nothing is compared here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

SEED = 20261123
_MAX_DATA_BYTES = 8 << 30  # a wrong size in a config must fail here, not take the machine's memory


def main() -> int:
    """Parse the command line, run the steps, write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["native", "guarded"])
    parser.add_argument("repository", type=Path)
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    parser.add_argument("--specs", type=Path)
    parser.add_argument("--build", type=Path)
    parser.add_argument("--lockfile", type=Path)
    parser.add_argument("--policy", default="default")
    parser.add_argument("--verbose", action="store_true", help="print the traceback of each failing step")
    arguments = parser.parse_args()
    _isolate(arguments.out.with_suffix(".modules"))
    return _run(arguments)


def _isolate(modules: Path) -> None:
    """No network, a module cache of this process's own, one thread, bounded memory: before torch is imported."""
    os.environ.update(
        HF_HUB_OFFLINE="1", HF_MODULES_CACHE=str(modules), OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false"
    )
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_DATA, (_MAX_DATA_BYTES, _MAX_DATA_BYTES))


def _run(arguments: argparse.Namespace) -> int:
    import assemble
    import specs

    table = specs.load(arguments.specs or specs.DEFAULT_SPECS)
    spec = table.repositories[arguments.name]
    for name in spec.libraries:
        _provide(
            table.libraries[name], assemble.library_folder(table.libraries[name], arguments.build or assemble.BUILD)
        )
    session = Session(spec, arguments.repository, arguments.out.with_suffix(".saved"), arguments.verbose)
    with _mode(arguments):
        session.exercise()
    result = {"mode": arguments.mode, "name": spec.name, "steps": session.steps}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def _provide(library: Any, folder: Path) -> None:
    """Put a helper library on sys.path; declare the operators that its native part cannot register on this build."""
    sys.path.append(str(folder))
    if library.operators:
        import torch

        fragment = torch.library.Library(library.name, "FRAGMENT")
        _KEPT.append(fragment)
        for schema in library.operators:
            fragment.define(schema)


_KEPT: list[Any] = []  # a torch Library undoes its definitions when it is collected


@contextlib.contextmanager
def _mode(arguments: argparse.Namespace) -> Iterator[None]:
    if arguments.mode == "native":
        yield
        return
    import safe_remote_code

    with safe_remote_code.installed(policy=arguments.policy, lockfile=arguments.lockfile):
        yield


class Session:
    """The steps for one repository; `steps` maps a step's name to its digest or to `{"error": ...}`."""

    def __init__(self, spec: Any, repository: Path, saved: Path, verbose: bool) -> None:
        self.spec, self.repository, self.saved, self.verbose = spec, str(repository), saved, verbose
        self.steps: dict[str, Any] = {}

    def exercise(self) -> None:
        """Run every step that the spec asks for and that earlier steps allow."""
        self._step("tokenizer", self._tokenize, wanted=bool(self.spec.tokenizer))
        config = self._step("config", self._load_config)
        model = self._step("model", lambda: self._build(config), needs=config)
        self._step("forward", lambda: self._forward(model), needs=model, wanted=self.spec.forward)
        self._step(
            "generate",
            lambda: self._generate(model, do_sample=False),
            needs=model,
            wanted=self.spec.generate is not None,
        )
        self._step(
            "sample", lambda: self._generate(model, do_sample=True), needs=model, wanted=self.spec.generate is not None
        )
        self._step("half", lambda: self._half(model), needs=model)
        self._step("backward", lambda: self._backward(model), needs=model, wanted=self.spec.forward)
        self._step("reload", lambda: self._reload(model), needs=model, wanted=self.spec.from_pretrained)

    def _step(self, name: str, action: Callable[[], tuple[Any, Any]], needs: Any = True, wanted: bool = True) -> Any:
        """Run one step under a fixed seed; record its digest, hand back its value."""
        if needs is None or not wanted:
            return None
        _seed(SEED)
        try:
            value, digest = action()
        except Exception as error:  # any error of remote code is a result here
            if self.verbose:
                traceback.print_exc()
            kinds = [kind.__name__ for kind in type(error).__mro__]
            self.steps[name] = {"error": f"{type(error).__name__}: {error}"[:2000], "kinds": kinds}
            return None
        self.steps[name] = {"digest": digest}
        return value

    def _auto(self) -> Any:
        import transformers

        return getattr(transformers, self.spec.auto_class)

    def _tokenize(self) -> tuple[Any, Any]:
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(self.repository, trust_remote_code=True)
        tokens = tokenizer(self.spec.tokenizer)["input_ids"]
        tokenizer.save_pretrained(self.saved / "tokenizer")
        again = transformers.AutoTokenizer.from_pretrained(self.saved / "tokenizer", trust_remote_code=True)
        return tokenizer, [tokens, tokenizer.decode(tokens), len(tokenizer), again(self.spec.tokenizer)["input_ids"]]

    def _load_config(self) -> tuple[Any, Any]:
        import transformers

        config = transformers.AutoConfig.from_pretrained(self.repository, trust_remote_code=True)
        return config, json.loads(config.to_json_string())

    def _build(self, config: Any) -> tuple[Any, Any]:
        import digests
        import torch

        with _filled_memory():
            model = self._auto().from_config(config, trust_remote_code=True)
        initial = digests.of_named(model.state_dict().items())
        _reinitialise(model)
        shape = {"parameters": sum(item.numel() for item in model.parameters()), "trainable": model.num_parameters()}
        assert isinstance(model, torch.nn.Module)
        return model.eval(), {"initial": initial, "seeded": digests.of_named(model.state_dict().items()), **shape}

    def _forward(self, model: Any) -> tuple[Any, Any]:
        import digests
        import torch

        with torch.no_grad():
            output = model(**_inputs(self.spec))
        return output, digests.of_output(output)

    def _generate(self, model: Any, do_sample: bool) -> tuple[Any, Any]:
        inputs = {name: value for name, value in _inputs(self.spec).items() if name != "labels"}
        tokens = model.generate(**{**inputs, **self.spec.generate, "do_sample": do_sample})
        return tokens, tokens.tolist()

    def _backward(self, model: Any) -> tuple[Any, Any]:
        import digests

        model.train()
        model.zero_grad()
        output = model(**_inputs(self.spec))
        loss = getattr(output, "loss", None)
        (_some_float(output).float().pow(2).mean() if loss is None else loss).backward()
        gradients = [(name, item.grad) for name, item in model.named_parameters() if item.grad is not None]
        model.eval()
        return loss, {"gradients": digests.of_named(gradients), "count": len(gradients)}

    def _half(self, model: Any) -> tuple[Any, Any]:
        import copy

        import digests

        return None, digests.of_named(copy.deepcopy(model).half().state_dict().items())

    def _reload(self, model: Any) -> tuple[Any, Any]:
        import digests

        folder = self.saved / "model"
        model.save_pretrained(folder)
        laid = sorted(item.name for item in folder.iterdir())
        for source in Path(self.repository).glob(
            "*.py"
        ):  # older versions of transformers save no code: a user copies it
            if not (folder / source.name).exists():
                shutil.copyfile(source, folder / source.name)
        again = self._auto().from_pretrained(folder, trust_remote_code=True).eval()
        output = self._forward(again)[1] if self.spec.forward else None
        return again, {"files": laid, "state": digests.of_named(again.state_dict().items()), "output": output}


def _seed(seed: int) -> None:
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


@contextlib.contextmanager
def _filled_memory() -> Iterator[None]:
    """Uninitialised tensors are filled with a fixed value, so that a model that leaves some is comparable at all."""
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def _reinitialise(model: Any) -> None:
    """Draw every parameter, and every buffer that was left uninitialised, from one seeded generator."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, item in sorted(model.named_parameters(), key=lambda pair: pair[0]):
            centre = 1.0 if item.dim() < 2 and name.endswith("weight") else 0.0
            item.copy_(centre + 0.1 * torch.randn(item.shape, generator=generator))
        for _name, item in sorted(model.named_buffers(), key=lambda pair: pair[0]):
            if item.is_floating_point() and not torch.isfinite(item).all() and torch.isnan(item).any():
                item.copy_(torch.randn(item.shape, generator=generator))


def _inputs(spec: Any) -> dict[str, Any]:
    """The keyword arguments of a forward call, drawn as the spec says."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    return {name: _tensor(description, generator, torch) for name, description in spec.inputs.items()}


def _tensor(description: dict[str, Any], generator: Any, torch: Any) -> Any:
    kind, shape = description["kind"], description.get("shape")
    if kind == "value":
        return description["value"]
    if kind == "tensor":
        made = torch.tensor(description["value"])
    elif kind == "ids":
        made = torch.randint(description.get("low", 4), description["high"], shape, generator=generator)
        for row, column, value in description.get("put", []):
            made[row, column] = value
    elif kind == "normal":
        made = torch.randn(shape, generator=generator)
    elif kind == "arange":
        made = torch.arange(description["shape"][-1]).expand(shape).contiguous()
    else:
        made = {"ones": torch.ones, "zeros": torch.zeros}[kind](shape, dtype=torch.long)
    return made.to(getattr(torch, description["dtype"])) if "dtype" in description else made


def _some_float(output: Any) -> Any:
    """The first floating tensor of an output that has a gradient."""
    import torch

    waiting = [output]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.requires_grad:
            return value
        waiting[:0] = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else []
    raise ValueError("no differentiable tensor in the output")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
