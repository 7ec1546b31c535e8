"""The process that loads hostile repositories: started by harness.py, never imported.

It imports torch and transformers once, then forks a child for every request (one JSON
object a line on standard input), so that a run costs a fork and not a start. The child
has its own process group, working directory and home, drives the model through every
stage, writes its result to a file and then ends like any interpreter, so that exit
handlers run. The parent never touches a fixture.

It does *not* decide alone whether a canary was hit: files, ports and leaked text are
looked for by harness.py from outside.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import importlib
import json
import os
import pickle
import pkgutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.01
#: Training and copying, which no model in a worker can do, whatever its code.
_NOT_IN_A_WORKER = "UnsupportedInWorkerError"
PRELOAD = (
    "torch", "numpy", "transformers", "transformers.modeling_utils", "safetensors.torch",
    "transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto",
    "transformers.generation.utils", "transformers.dynamic_module_utils", "einops", "PIL.Image",
)  # fmt: skip


# Bound here, because fixtures replace them in their modules: that is what some are for.
encode = json.JSONEncoder(default=repr).encode
os_open, os_write, os_close, listdir = os.open, os.write, os.close, os.listdir


class World(dict[str, Any]):
    """A namespace in which every top-level module has its name."""

    def __missing__(self, name: str) -> Any:
        try:
            return importlib.import_module(name)
        except ImportError:
            raise KeyError(name) from None


class Child:
    """One run: what is asked, what was seen."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.errors: list[dict[str, Any]] = []
        self.hit_stage: str | None = None
        self.reached: list[str] = []
        self.kept: dict[str, Any] = {}
        self.before = self._world()

    def run(self) -> None:
        with self._guard():
            self._drive()
        self.kept.clear()
        gc.collect()
        self._look("exit")
        self._report()

    def _guard(self) -> contextlib.AbstractContextManager[object]:
        if self.request["mode"] == "native":
            return contextlib.nullcontext()
        import safe_remote_code

        installed: contextlib.AbstractContextManager[object] = safe_remote_code.installed(
            policy=self.request["policy"], lockfile=self.request["lockfile"]
        )
        return installed

    def _drive(self) -> None:
        self._stage("import", self._import)
        if "config" in self.kept:
            self._stage("init", self._init)
        if "model" in self.kept:
            self._stage("forward", self._forward)
            self._stage("generate", self._generate)
        if Path(self.request["repo"], "tokenizer_config.json").exists():
            self._stage("tokenize", self._tokenize)
        if "model" in self.kept:
            self._stage("save", self._save)
            self._stage("getattr", self._getattr)

    def _stage(self, name: str, action: Callable[[], None]) -> None:
        self.reached.append(name)
        with self._record(name):
            action()
        self._look(name)
        self._report()  # a fixture may end the process at any later point

    @contextlib.contextmanager
    def _record(self, stage: str) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # SystemExit is a technique of its own
            if (described := _describe(error))["type"] != _NOT_IN_A_WORKER:
                self.errors.append({"stage": stage, **described})

    # --- the stages -------------------------------------------------------------

    def _import(self) -> None:
        from transformers import AutoConfig

        repo = self.request["repo"]
        self.kept["config"] = AutoConfig.from_pretrained(repo, trust_remote_code=True)

    def _init(self) -> None:
        from transformers import AutoModel

        repo = self.request["repo"]
        self.kept["model"] = AutoModel.from_pretrained(repo, trust_remote_code=True)

    def _forward(self) -> None:
        import torch

        model, ids = self.kept["model"], torch.tensor([[1, 2, 3]])
        with torch.no_grad():
            self.kept["output"] = model(input_ids=ids)
        model.train()
        output = model(input_ids=ids)
        tensor = output if isinstance(output, torch.Tensor) else output[0]
        if tensor.requires_grad:
            tensor.sum().backward()

    def _generate(self) -> None:
        import torch

        model = self.kept["model"].eval()
        if callable(getattr(model, "generate", None)):
            try:
                self.kept["tokens"] = model.generate(torch.tensor([[1, 2, 3]]), max_new_tokens=2)
            except TypeError as error:
                if "is not compatible with `.generate()`" not in str(error):  # transformers 4.49, of a headless model
                    raise

    def _tokenize(self) -> None:
        from transformers import AutoTokenizer

        repo = self.request["repo"]
        tokenizer = AutoTokenizer.from_pretrained(repo, trust_remote_code=True)
        self.kept["tokenizer"] = tokenizer
        with self._record("tokenize"):
            tokenizer.decode(tokenizer("ab ba")["input_ids"])
        tokenizer.save_pretrained(self.request["out"])

    def _save(self) -> None:
        import torch

        model, out = self.kept["model"], self.request["out"]
        actions: tuple[Callable[[], object], ...] = (
            lambda: model.save_pretrained(out),
            lambda: model.config.save_pretrained(out),
            lambda: torch.save(model.state_dict(), os.path.join(out, "state.pt")),
            lambda: torch.save(model, os.path.join(out, "whole.pt")),
        )
        for action in actions:
            with self._record("save"):
                action()

    def _getattr(self) -> None:
        for name in ("model", "config", "output", "tokenizer"):
            if (value := self.kept.get(name)) is None:
                continue
            for action in _HANDLING:
                # Many of these fail on honest objects; only our refusals are of interest.
                try:
                    action(value)
                except BaseException as error:
                    described = _describe(error)
                    if described["ours"] and described["type"] != _NOT_IN_A_WORKER:
                        self.errors.append({"stage": "getattr", **described})

    # --- what was seen ----------------------------------------------------------

    def _world(self) -> list[Any]:
        return [_evaluate(expression) for expression in self.request["world"]]

    def _hit(self) -> bool:
        if self.request["canary"] == "world":
            return not all(map(_same, self.before, self._world()))
        if self.request["canary"] == "file":
            return _disturbed(self.request["canary_file"])
        if self.request["canary"] == "read":
            return any(self.request["secret_text"] in text for text in self._loot())
        return False  # a port is watched by harness.py

    def _loot(self) -> Iterator[str]:
        """The places to which a fixture may bring what it read."""
        holders = [*self.kept.values(), type(self.kept.get("model"))]
        holders += [m for name, m in list(sys.modules.items()) if name.endswith("modeling_escape")]
        for holder in holders:
            with contextlib.suppress(BaseException):
                yield str(getattr(holder, "stolen", ""))

    def _look(self, stage: str) -> None:
        if self.hit_stage is None and self._hit():
            self.hit_stage = stage

    def _report(self) -> None:
        report = {"hit_stage": self.hit_stage, "reached": self.reached, "errors": self.errors}
        report["refusals"] = _refusals()
        result = os_open(self.request["result"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os_write(result, encode(report).encode())
        os_close(result)


_HANDLING: tuple[Callable[[Any], object], ...] = (
    repr, str, len, hash, bool, dir, format, list, copy.copy, copy.deepcopy,
    lambda value: value == value,
    lambda value: value == 1,
    lambda value: "x" in value,
    lambda value: value[0],
    lambda value: value.no_such_attribute,
    lambda value: isinstance(value, (int, dict)),
    lambda value: pickle.loads(pickle.dumps(value)),
    lambda value: __import__("logging").getLogger("attack").warning("%s %r", value, value),
    lambda value: value.to_json_string(),
    lambda value: value.num_parameters(),
    lambda value: value.half().float().to("cpu"),
)  # fmt: skip


def _disturbed(canary_file: str) -> bool:
    """Whether the decoy folder holds anything but the untouched decoy (writers add suffixes)."""
    try:
        return listdir(os.path.dirname(canary_file)) != ["secret.txt"]
    except PermissionError:  # under the launcher: harness.py looks, from outside
        return False


def _evaluate(expression: str) -> Any:
    try:
        return eval(expression, {}, World())  # the harness's own expressions, never a fixture's
    except Exception as error:
        return f"{type(error).__name__}"


def _same(before: Any, after: Any) -> bool:
    if before is after:
        return True
    plain = (str, bytes, int, float, tuple, frozenset)
    if not isinstance(before, plain):
        return bool(type(before) is type(after) and getattr(before, "__func__", 0) is getattr(after, "__func__", 1))
    return type(before) is type(after) and before == after


def _describe(error: BaseException) -> dict[str, Any]:
    """The error of ours in the chain if there is one, else the outermost."""
    chosen, ours, link, seen = error, False, error, 0
    while link is not None and seen < 20:
        if type(link).__module__.partition(".")[0] == "safe_remote_code":
            chosen, ours = link, True
            break
        link, seen = (link.__cause__ or link.__context__), seen + 1  # type: ignore[assignment]
    try:
        message = str(chosen)[:2000]
    except BaseException:
        message = "<no message>"
    code = getattr(chosen, "code", None) if ours else None
    return {"type": type(chosen).__name__, "code": code, "message": message, "ours": ours}


def _refusals() -> list[str]:
    package = sys.modules.get("safe_remote_code")
    listed = getattr(package, "refusals", None)
    try:
        return [str(item)[:500] for item in listed()] if callable(listed) else []
    except Exception:
        return []


# --- the server ---------------------------------------------------------------------


def _preload(guarded: bool) -> None:
    for name in PRELOAD:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    if guarded:
        package = importlib.import_module("safe_remote_code")
        for module in pkgutil.walk_packages(package.__path__, "safe_remote_code."):
            if not module.name.endswith("__main__"):
                with contextlib.suppress(ImportError):
                    importlib.import_module(module.name)


def _become_child(request: dict[str, Any]) -> None:
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(request["cwd"])
    os.environ.update(HOME=request["home"], TMPDIR=request["tmp"])
    Child(request).run()


def _wait(pid: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_SECONDS)
    return None


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def serve(replies: int) -> None:
    """Answers requests until standard input ends; in a child, returns after its run."""
    _preload(guarded="--guarded" in sys.argv)
    gc.collect()
    gc.freeze()  # else each child walks, and so copies, every object of torch at its end
    os.write(replies, json.dumps({"ready": len(os.listdir("/proc/self/task"))}).encode() + b"\n")
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        if (pid := os.fork()) == 0:
            os.close(replies)
            _become_child(request)
            return
        code = _wait(pid, request["seconds"])
        _kill_group(pid)
        if code is None:
            os.waitpid(pid, 0)
        os.write(replies, json.dumps({"exit": code}).encode() + b"\n")


if __name__ == "__main__":
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]
    sys.path.append(str(ROOT))
    reply_fd = os.dup(1)
    os.set_inheritable(reply_fd, False)
    os.dup2(2, 1)
    serve(reply_fd)
