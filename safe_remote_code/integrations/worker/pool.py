"""Workers by what they may read: one for each repository, policy and lock file, for as long as somebody uses it.

A worker lives while a model, tokenizer or cache of it does. The one that was started last is kept besides until
something is loaded in it, so that configuration, model and tokenizer of one `from_pretrained` share it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from ...errors import RemoteCodeError, UnsupportedInWorkerError, WorkerProtocolError
from ...refusal_log import LOG
from ...worker.failures import raised
from ...worker.process import WorkerProcess
from ...worker.start import Start, confinement, hub_environment, repository_roots
from ...worker.values import Decoder, Encoder, checked_keys, checked_text, encoded
from .configs import encode_config, plain_config
from .values import decode_library, encode_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...policy import Policy
    from ...reference import RepoSource
    from ...sandbox import Confinement

_MODULE: Final = "safe_remote_code.integrations.worker"
#: What a worker needs to find its device and the libraries for it; nothing of it is a secret.
_INHERITED: Final = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "LD_LIBRARY_PATH", "CUBLAS_WORKSPACE_CONFIG")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a worker's code and files come from, and under which policy; `digest` is that of the code."""

    code: RepoSource
    weights: RepoSource
    policy: Policy = field(repr=False)
    lockfile: Path
    hub_cache: str | None
    digest: str

    @property
    def key(self) -> tuple[object, ...]:
        """Homes with one key may share a worker."""
        return (self.code, self.weights, self.policy, self.lockfile, self.hub_cache, self.digest)


class Worker:
    """A running worker and the objects in it that this process holds."""

    #: Makes the proxy of an object of a kind; filled by `proxy`, which needs this module.
    proxies: ClassVar[dict[str, Callable[[Worker, int, str], Any]]] = {}

    def __init__(self, home: Home) -> None:
        #: Configurations of one package under two policies are of two classes: transformers remembers model classes
        #: by them, and what was bounded by the one policy must not be loaded under the other.
        self.digest = f"{home.digest} {hash(home.policy)} {home.lockfile}"
        #: SHA-256 of the code files that a save may bring; None with the identity wall off.
        self.approved: frozenset[str] | None = frozenset()
        limits = home.policy.worker
        self._process = process = WorkerProcess(
            _MODULE, _environment(home), limits.reply_seconds, memory_bytes=limits.memory_bytes
        )
        self._channel = process.channel
        self._held: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._released: deque[int] = deque()
        self._end = weakref.finalize(self, process.channel.end, "its last model was dropped")
        start = Start(
            confinement=_confinement(home, process.scratch.writable), policy=home.policy,
            lockfile=str(home.lockfile), threads=_threads(),
        )  # fmt: skip
        self.status = checked_text(self._asked("start", start.body(), loading=True), 1 << 16)

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._end.alive and not self._channel.dead

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def out(self) -> Path:
        """The folder in which the child leaves what it saves."""
        return self._process.scratch.path / "out"

    def close(self) -> None:
        """End it now, whoever still holds objects of it."""
        self._end()

    def ask(
        self,
        operation: str,
        body: dict[str, Any],
        *,
        loading: bool = False,
        random: bool = False,
        on_stream: Callable[[Any], None] | None = None,
    ) -> Any:
        """What the worker answers; `random`: with the random state of this process, as if it ran here.

        Raises:
            WorkerError: it is gone. UnsupportedInWorkerError: an argument cannot cross.
            Exception: what the call itself raised there, if it is of a common kind.
        """
        body = {**body, "released": self._drained()}
        if not random:
            return self._asked(operation, body, loading=loading, on_stream=on_stream)
        import torch

        answer = self._asked(operation, {**body, "random": torch.get_rng_state()}, loading=loading, on_stream=on_stream)
        with self._ended_by_nonsense():
            value, drew = checked_keys(answer, "value", "drew")
        if drew is True:
            torch.rand(())  # the next call starts from another state, which the child had no part in
        return value

    def _asked(
        self, operation: str, body: dict[str, Any], *, loading: bool, on_stream: Callable[[Any], None] | None = None
    ) -> Any:
        encoder = Encoder(self._encode)
        sent = encoded(encoder, body, "to")
        kind, answer = self._channel.ask(
            operation, sent, self._decode, buffers=encoder.buffers, blobs=encoder.blobs(), on_stream=on_stream
        )
        if kind == "failure":
            with self._ended_by_nonsense():
                error = raised(answer, loading=loading)
            # What does not cross is no refusal, on this side or on that one.
            if isinstance(error, RemoteCodeError) and not isinstance(error, UnsupportedInWorkerError):
                LOG.record(error)
            raise error
        return answer

    @contextlib.contextmanager
    def _ended_by_nonsense(self) -> Iterator[None]:
        """What is wrong with an answer that was read already ends the worker as well."""
        try:
            yield
        except WorkerProtocolError:
            self.close()
            raise

    def _drained(self) -> list[int]:
        return [self._released.popleft() for _ in range(len(self._released))]

    def _encode(self, value: Any, encoder: Encoder) -> dict[str, object] | None:
        from transformers import GenerationConfig, PretrainedConfig

        number = getattr(value, "_worker_number", None)
        if type(number) is int:
            if value._worker is not self:
                raise TypeError(f"{type(value).__name__} of another worker")
            return {"t": "object", "v": number}
        if isinstance(value, PretrainedConfig):
            return encode_config(value, encoder)
        if isinstance(value, GenerationConfig):
            return {"t": "generation-config", "v": encoder.pairs(value.to_dict())}
        return encode_library(value, encoder)

    def _decode(self, tag: str, value: Any, decoder: Decoder) -> object:
        if tag == "object":
            return self._proxy(*checked_keys(value, "id", "kind", "class"))
        if tag == "config":
            return plain_config(value, decoder, self.digest)
        if tag == "generation-config":
            return _generation_config(decoder.pairs(value))
        return decode_library(tag, value, decoder)

    def _proxy(self, number: object, kind: object, name: object) -> Any:
        make = self.proxies.get(checked_text(kind, 20))
        if type(number) is not int or not 0 < number < 1 << 31 or make is None:
            raise WorkerProtocolError("not an object of the worker")
        known = self._held.get(number)
        if known is None:
            shown = checked_text(name, 200)
            if not shown.isidentifier():  # it is printed
                raise WorkerProtocolError("not the name of a class")
            known = self._held[number] = make(self, number, shown)
            weakref.finalize(known, self._released.append, number).atexit = False
        return known


def _generation_config(values: dict[Any, Any]) -> Any:
    from transformers import GenerationConfig

    known = GenerationConfig().to_dict().keys()
    if any(type(value) not in (str, int, float, bool, list, dict, type(None)) for value in values.values()):
        raise WorkerProtocolError("not a generation configuration")
    return GenerationConfig(**{name: value for name, value in values.items() if name in known})


@final
class _Pool:
    """All workers of this process, and the one that is kept although nothing was loaded in it yet."""

    lock = threading.RLock()
    workers: weakref.WeakValueDictionary[tuple[object, ...], Worker] = weakref.WeakValueDictionary()
    kept: Worker | None = None
    pid = os.getpid()


def worker_of(home: Home) -> Worker:
    """The worker of `home`: one that runs, or a new one.

    Raises:
        SandboxUnavailableError: the kernel cannot confine it. WorkerError: it did not start.
    """
    with _Pool.lock:
        if _Pool.pid != os.getpid():  # after a fork, those of the other process are not ours
            _Pool.workers, _Pool.kept, _Pool.pid = weakref.WeakValueDictionary(), None, os.getpid()
        known = _Pool.workers.get(home.key)
        if known is None or not known.alive:
            known = _Pool.workers[home.key] = Worker(home)
            _Pool.kept = known
        return known


def loaded_in(worker: Worker) -> None:
    """From now on, what was loaded keeps `worker` alive."""
    with _Pool.lock:
        if _Pool.kept is worker:
            _Pool.kept = None


def drop_kept() -> None:
    """End the worker in which nothing was loaded."""
    with _Pool.lock:
        _Pool.kept = None


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())


def _environment(home: Home) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {"OMP_NUM_THREADS": str(_threads()), **inherited, **hub_environment(home.hub_cache)}


def _confinement(home: Home, writable: tuple[Path, ...]) -> Confinement:
    roots = [root for source in (home.code, home.weights) for root in repository_roots(source, home.hub_cache)]
    return confinement(
        [str(home.lockfile), *roots], writable, memory_bytes=home.policy.worker.memory_bytes, cuda=_uses_cuda()
    )


def _uses_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())
