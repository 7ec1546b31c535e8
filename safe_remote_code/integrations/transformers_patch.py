"""`install()` and `uninstall()`: our loader in the place of transformers', for every Auto class.

Two levels are replaced. `get_class_from_dynamic_module`, because only it knows which repository a
revision belongs to; and the two functions below it, `get_cached_module_file` and
`get_class_in_module`, because whoever imported the upper one by name, early, still calls these as
globals of `dynamic_module_utils`. Holders by name anywhere in `sys.modules` are found by identity.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from ..errors import FetchError, MissingFileError, RefusedError, RemoteCodeError, UnsupportedInWorkerError
from ..events import audit_log as open_audit_log
from ..execute.in_process import give_way, take_over
from ..execute.source_store import lay_out
from ..fetch.source import HubOptions
from ..guard.saving import remote_code_on_stack
from ..lockfile import DEFAULT_LOCKFILE, read_lock
from ..pipeline import load_package
from ..policy import Policy, load_policy
from ..reference import ModuleRef, parse_source
from ..refusal_log import LOG, ON_REFUSAL, OnRefusal
from ..snapshot import snapshot
from .dynamic_module import DEFAULTS, Defaults, asked_revision, get_class_from_dynamic_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..events import AuditLog, Destination
    from ..execute import LoadedPackage

_HOME: Final = "transformers.dynamic_module_utils"
#: Holds workers, if any was ever started.
_POOL: Final = "safe_remote_code.integrations.worker.pool"
#: The functions of transformers that are replaced; a test looks for holders of others.
PATCHED: Final = (
    "get_class_from_dynamic_module",
    "get_cached_module_file",
    "get_class_in_module",
    "custom_object_save",
)


@final
class _Installation:
    """One installed policy, lock file, reaction and audit log, and what to restore."""

    def __init__(
        self, policy: Policy, lockfile: Path, on_refusal: OnRefusal = "raise", audit_log: Destination | None = None
    ) -> None:
        self._policy = policy
        self._lockfile = lockfile
        self._on_refusal = on_refusal
        self._destination = audit_log
        self._log: AuditLog | None = None
        self._home = importlib.import_module(_HOME)
        self._originals: dict[str, Any] = {name: getattr(self._home, name) for name in PATCHED}
        self._signature = inspect.signature(self._originals["get_class_from_dynamic_module"])
        self._loaded: dict[str, tuple[LoadedPackage, str]] = {}
        self._replacements: dict[str, Callable[..., Any]] = {
            "get_class_from_dynamic_module": self._get_class_from_dynamic_module,
            "get_cached_module_file": self._get_cached_module_file,
            "get_class_in_module": self._get_class_in_module,
            "custom_object_save": self._custom_object_save,
        }

    def put(self) -> None:
        """Replace the originals wherever a module holds one."""
        if self._destination is not None:
            self._log = open_audit_log(self._destination)
        LOG.on_refusal = self._on_refusal
        DEFAULTS.policy, DEFAULTS.lockfile = self._policy, self._lockfile
        take_over()
        _rebind(self._originals, self._replacements)

    def restore(self) -> None:
        """Put the originals back wherever a module holds one of ours, late importers included."""
        _rebind(self._replacements, self._originals)
        give_way()
        LOG.on_refusal = "raise"
        DEFAULTS.policy, DEFAULTS.lockfile = Defaults().policy, Defaults().lockfile
        if self._log is not None:
            self._log.close()

    def _get_class_from_dynamic_module(self, *arguments: Any, **keywords: Any) -> type:
        # Positional order differs between versions of transformers; theirs is the one that callers use.
        extra: dict[str, Any] = {name: keywords.pop(name) for name in ("policy", "lockfile") if name in keywords}
        if extra and remote_code_on_stack():
            # The Auto classes hand on any keyword argument that remote code gives them.
            message = f"remote code asks for a {' and '.join(extra)} of its own choice"
            raise LOG.record(RefusedError(message, subject=str(arguments[:1])))
        bound = self._signature.bind(*arguments, **keywords).arguments
        bound.update(bound.pop("kwargs", {}) | bound.pop("deprecated_kwargs", {}))
        return get_class_from_dynamic_module(**bound, **extra)

    def _get_cached_module_file(
        self,
        pretrained_model_name_or_path: str | os.PathLike[str],
        module_file: str,
        cache_dir: str | os.PathLike[str] | None = None,
        force_download: bool = False,
        *_: Any,
        token: bool | str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        repo_type: str | None = None,
        **_ignored: Any,
    ) -> str:
        try:
            source = parse_source(pretrained_model_name_or_path, repo_type)
            name, asked = _any_class(module_file), asked_revision(revision)
            ref = ModuleRef(source=source, path=module_file, class_name=name, revision=asked)
            options = HubOptions(
                cache_dir=None if cache_dir is None else str(cache_dir),
                force_download=force_download,
                token=token,
                local_files_only=local_files_only,
            )
            package = load_package(ref, policy=self._policy, lockfile=self._lockfile, options=options)
        except FetchError as error:
            if isinstance(error, MissingFileError) or not self._pins(module_file):
                raise OSError(str(error)) from error  # custom_generate asks, and goes on without
            raise LOG.record(error) from error.__cause__
        except RemoteCodeError as error:
            raise LOG.record(error) from error.__cause__
        place = os.path.join(*package.name.split("."), module_file)
        self._loaded[place] = (package, module_file)
        return place

    def _pins(self, path: str) -> bool:
        """Whether any approved package has a file `path`; if none has, that it cannot be had refuses nothing."""
        return any(path in package.files for package in read_lock(self._lockfile).packages)

    def _get_class_in_module(self, class_name: str, module_path: str | os.PathLike[str], **_: Any) -> type:
        known = self._loaded.get(os.fspath(module_path))
        if known is None:
            raise LOG.record(RefusedError("this module did not come through the walls", subject=os.fspath(module_path)))
        if self._policy.execution == "worker":
            raise LOG.record(UnsupportedInWorkerError(
                "a function of a repository runs in this process, and the policy wants a worker", subject=class_name,
                remedy='use a policy that says execution = "in-process"'))  # fmt: skip
        package, path = known
        return getattr(package.module(path), class_name)  # type: ignore[no-any-return]  # as transformers

    def _custom_object_save(self, obj: Any, folder: str | os.PathLike[str], config: Any = None) -> Any:
        """As transformers, but the saved code is the verified text, whatever lies on disk."""
        if obj.__module__ != type(obj).__module__:
            message = f"an object of {type(obj).__qualname__} names {obj.__module__} as its module"
            raise LOG.record(RefusedError(message, remedy="do not set __module__ of an instance"))
        package = _package_of(obj)
        if package is not None:
            lay_out(snapshot(module.file for module in package.modules.values()), package.folder)
        result = self._originals["custom_object_save"](obj, folder, config=config)
        if package is not None:
            for path in result or ():
                _write_verified(package, Path(path))
        return result


def _any_class(module_file: str) -> str:
    """`get_cached_module_file` names no class; custom_generate means this function, others decide later."""
    return "generate" if module_file == "custom_generate/generate.py" else ModuleRef.ANY


def _package_of(obj: object) -> LoadedPackage | None:
    from ..execute.in_process import package_of_module

    return package_of_module(type(obj).__module__)


def _write_verified(package: LoadedPackage, saved: Path) -> None:
    for path, module in package.modules.items():
        if Path(path).name == saved.name and saved.read_bytes() != module.file.data:
            saved.write_bytes(module.file.data)


def _rebind(old: dict[str, Any], new: dict[str, Any]) -> None:
    for module in list(sys.modules.values()):
        namespace = getattr(module, "__dict__", None)
        if not isinstance(namespace, dict):
            continue
        for name in PATCHED:
            # == and not `is`: a bound method of ours is a new object each time it is read.
            if name in namespace and namespace[name] == old[name]:
                namespace[name] = new[name]


_INSTALLED: Final[list[_Installation]] = []


def install(
    policy: str | os.PathLike[str] | Policy = "default",
    lockfile: str | os.PathLike[str] = DEFAULT_LOCKFILE,
    *,
    on_refusal: OnRefusal = "raise",
    audit_log: Destination | None = None,
) -> None:
    """Put our loader in the place of transformers', for this process, until `uninstall()`.

    A second call replaces policy and lock file. With `on_refusal="abort"` the first refusal or violation ends the
    process with status 77, so that no caller can swallow it and go on. `audit_log`, a file that is appended to or a
    function of one `events.Event`, is told what loaded code does.

    Raises:
        DocumentError: the policy is malformed. ModuleNotFoundError: transformers is not installed.
        OSError: the audit log cannot be opened. ValueError: `on_refusal` is neither `raise` nor `abort`.
    """
    if on_refusal not in ON_REFUSAL:
        raise ValueError(f"on_refusal is one of {', '.join(ON_REFUSAL)}, not {on_refusal!r:.40}")
    chosen = load_policy(policy)
    uninstall()
    installation = _Installation(chosen, Path(lockfile).absolute(), on_refusal, audit_log)
    installation.put()
    _INSTALLED.append(installation)


def uninstall() -> None:
    """Restore transformers' own functions everywhere. Without `install()` before, it does nothing."""
    while _INSTALLED:
        _INSTALLED.pop().restore()
    if (pool := sys.modules.get(_POOL)) is not None:
        pool.drop_kept()


@contextmanager
def installed(
    policy: str | os.PathLike[str] | Policy = "default",
    lockfile: str | os.PathLike[str] = DEFAULT_LOCKFILE,
    *,
    on_refusal: OnRefusal = "raise",
    audit_log: Destination | None = None,
) -> Iterator[None]:
    """`install()` for the length of a `with` block; what was installed before comes back after it."""
    before = _INSTALLED[-1] if _INSTALLED else None
    install(policy, lockfile, on_refusal=on_refusal, audit_log=audit_log)
    try:
        yield
    finally:
        uninstall()
        if before is not None:
            before.put()
            _INSTALLED.append(before)
