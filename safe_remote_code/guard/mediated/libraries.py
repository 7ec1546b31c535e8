"""Functions of torch and others that read, write or compile: with the dangerous arguments fixed.

Nothing is imported here: a replacement is made when remote code first asks for it, and by then its
library is loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, final

from ..armour.compile_settings import refused_setting
from ..context import exact_path
from ..ownership import Sealed, owns, owns_instance
from .calls import PLAIN_KINDS, mediated_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from ..context import PackageContext

#: Take a path to read as first argument, in native code or through several layers.
_READERS: Final = (
    "safetensors.safe_open", "safetensors.torch.load_file", "safetensors.numpy.load_file",
    "tiktoken.load.load_tiktoken_bpe", "tiktoken.load.data_gym_to_mergeable_bpe_ranks",
    "PIL.Image.open", "PIL.ImageFont.truetype", "transformers.models.bert.tokenization_bert.load_vocab",
    "transformers.models.bert.tokenization_bert_legacy.load_vocab", "glob.glob",
    "transformers.convert_slow_tokenizer.SentencePieceExtractor",
)  # fmt: skip
#: Take something to write and a path.
_WRITERS: Final = ("safetensors.torch.save_file", "safetensors.numpy.save_file", "safetensors.torch.save_model",
                   "transformers.dynamic_module_utils.custom_object_save",
                   "transformers.configuration_utils.custom_object_save")  # fmt: skip
_IMAGE_LOADERS: Final = ("transformers.image_utils.load_image", "transformers.image_utils.load_images")
#: Flags of the TorchScript executor that ChatGLM and its kin set at import.
_JIT_FLAGS: Final = (
    "torch._C._jit_set_profiling_mode", "torch._C._jit_set_profiling_executor",
    "torch._C._jit_override_can_fuse_on_cpu",
    "torch._C._jit_override_can_fuse_on_gpu", "torch._C._jit_set_texpr_fuser_enabled",
    "torch._C._jit_set_nvfuser_enabled",
    "torch._C._debug_set_autodiff_subgraph_inlining",
)  # fmt: skip
#: Hands out a module: the message classes of a SentencePiece model.
_MESSAGES: Final = "transformers.convert_slow_tokenizer.import_protobuf"
_CACHE_READERS: Final = (
    "transformers.utils.cached_file", "transformers.utils.hub.cached_file",
    "huggingface_hub.hf_hub_download", "huggingface_hub.file_download.hf_hub_download",
    "huggingface_hub.snapshot_download", "huggingface_hub._snapshot_download.snapshot_download",
)  # fmt: skip
#: Settings, and `interval`, whose message is formatted with its bounds in it.
_PLAINLY: Final = (
    "numpy.printoptions", "transformers.utils.type_validators.interval",
    "torch.utils.checkpoint.set_checkpoint_debug_enabled", "torch.utils.checkpoint.set_checkpoint_early_stop",
)  # fmt: skip
_CONTEXTS: Final = (
    "transformers.utils.ContextManagers", "transformers.utils.generic.ContextManagers",
    "transformers.file_utils.ContextManagers",
)  # fmt: skip


def _real(name: str) -> Callable[..., Any]:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]  # by name


def _load(context: PackageContext) -> Callable[..., object]:
    def load(f: object, map_location: object = None, pickle_module: object = None, *, weights_only: bool = True,
             mmap: bool | None = None, **keywords: object) -> object:  # fmt: skip
        if pickle_module is not None or not weights_only or keywords:
            raise context.violation("torch.load: only weights_only=True, without options", "deserialise", "torch.load")
        checked = mediated_call(_real("torch.load"), "read-path", context)
        return checked(f, map_location=map_location, weights_only=True, mmap=mmap)

    return load


def _save(context: PackageContext) -> Callable[..., object]:
    def save(obj: object, f: object, **keywords: object) -> object:
        target = f
        if isinstance(f, str | os.PathLike):
            target = os.path.realpath(exact_path(f))
            if not context.may_write(target):
                raise context.violation(f"torch.save to {target!r}", "file-write", "torch.save")
        return _real("torch.save")(obj, target)

    return save


@final
class _Archive(Mapping[str, object], Sealed):
    """The arrays of an `.npz`, as `numpy.load` gives them, without the open file behind them."""

    def __init__(self, arrays: dict[str, object]) -> None:
        self._arrays = arrays

    @property
    def files(self) -> list[str]:
        """Names of the arrays."""
        return list(self._arrays)

    def __getitem__(self, key: str) -> object:
        return self._arrays[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """There is nothing open."""


def _numpy_load(context: PackageContext) -> Callable[..., object]:
    def load(file: object, mmap_mode: object = None, allow_pickle: bool = False, **keywords: object) -> object:
        if mmap_mode is not None or allow_pickle:
            raise context.violation("numpy.load: no mmap_mode, no allow_pickle", "deserialise", "numpy.load")
        found: Any = mediated_call(_real("numpy.load"), "read-path", context)(file, allow_pickle=False)
        if not isinstance(found, Mapping):
            return found
        with found as archive:  # type: ignore[attr-defined]  # an NpzFile is a context
            return _Archive({name: archive[name] for name in archive.files})

    return load


def _compile(context: PackageContext) -> Callable[..., object]:
    def compile(model: object = None, *, backend: str | None = None, **keywords: object) -> object:  # torch's name
        options: Any = keywords.get("options")
        refused = refused_setting(backend, options)
        if refused is not None:
            raise context.violation(f"torch.compile: {refused}", "dynamic-code", "torch.compile")
        if options is not None:
            keywords["options"] = dict(options)
        chosen = {} if backend is None else {"backend": backend}
        return _real("torch.compile")(model, **chosen, **keywords)

    return compile


def _script(context: PackageContext, name: str) -> Callable[..., object]:
    def script(obj: object, *arguments: object, **keywords: object) -> object:
        if not owns(obj) and not owns_instance(obj) and not type(obj).__module__.startswith("torch.nn."):
            raise context.violation(f"{name} compiles code of this package only", "dynamic-code", name)
        if name == "torch.jit.script":
            keywords["_frames_up"] = 1
        return _real(name)(obj, *arguments, **keywords)

    return script


def _image(context: PackageContext, name: str) -> Callable[..., object]:
    def load(image: object, *arguments: object, **keywords: object) -> object:
        return _real(name)(exact(image), *arguments, **keywords)

    def exact(image: object) -> object:
        if isinstance(image, list | tuple):
            return [exact(item) for item in image]
        if not isinstance(image, str | os.PathLike):
            return image
        text = exact_path(image)
        if text.startswith(("http://", "https://", "ftp://")):
            raise context.violation(f"{name}: an address", "network", name)
        if len(text) < 4096 and not context.may_read(os.path.realpath(text)) and os.path.exists(text):
            raise context.violation(f"{name}: {text!r} is not inside the model's own folder", "file-read", name)
        return text

    return load


def _from_cache(context: PackageContext, name: str) -> Callable[..., object]:
    def read(*arguments: object, **keywords: object) -> object:
        if keywords.get("local_dir") is not None:
            folder = keywords["local_dir"] = os.path.realpath(exact_path(keywords["local_dir"]))
            if not context.may_write(folder):
                raise context.violation(f"{name} into {folder!r:.80}", "file-write", name)
        if "hub-download" not in context.granted.capabilities:
            keywords["local_files_only"] = True
        return _real(name)(*arguments, **keywords)

    return read


def _plain(context: PackageContext, name: str) -> Callable[..., object]:
    """What it is told stays behind, in a setting of the process or a text that is formatted later."""

    def call(*arguments: object, **keywords: object) -> object:
        if any(type(value) not in PLAIN_KINDS for value in (*arguments, *keywords.values())):
            raise context.violation(f"{name} of something that is no number, text or flag", "monkey-patch", name)
        return _real(name)(*arguments, **keywords)

    return call


@contextlib.contextmanager
def _contexts(context_managers: Sequence[AbstractContextManager[object]]) -> Iterator[None]:
    """`ContextManagers` of transformers, without the `ExitStack` that it shows, which could be left open."""
    with contextlib.ExitStack() as stack:
        for manager in context_managers:
            stack.enter_context(manager)
        yield


def _fx_wrap(function: object) -> object:
    """Marks a function as a leaf of symbolic tracing, by writing to globals; tracing then looks into it instead."""
    return function


@final
class _Tracing(Sealed):
    """What stands for the state of `torch.jit.trace`, whose graph would be the one that the user gets."""


def _tracing_state() -> Callable[[], object]:
    real, tracing = _real("torch._C._get_tracing_state"), _Tracing()
    return lambda: None if real() is None else tracing


def _frombuffer(context: PackageContext) -> Callable[..., object]:
    """`numpy.frombuffer` of bytes: a copy that cannot be written to, as the array over the bytes could not."""
    real = _real("numpy.frombuffer")

    def frombuffer(buffer: object, dtype: object = float, count: int = -1, offset: int = 0, **keywords: object) -> Any:
        if type(buffer) is not bytes or keywords.get("like") is not None:
            raise context.violation("numpy.frombuffer of anything but bytes", "raw-memory", "numpy.frombuffer")
        found = real(buffer, dtype, count, offset).copy()
        found.flags.writeable = False
        return found

    return frombuffer


def _no_ninja() -> bool:
    """`is_ninja_available` starts `ninja --version`; what would be built with it may not be loaded."""
    return False


def _flag(name: str) -> Callable[[bool], object]:
    return lambda value: _real(name)(bool(value))


def _messages(name: str, import_module: Callable[[str, str | None], object]) -> Callable[[str], object]:
    def messages(error_message: str = "") -> object:
        return import_module(_real(name)(str(error_message)).__name__, None)

    return messages


def replacements(
    context: PackageContext, import_module: Callable[[str, str | None], object]
) -> dict[str, Callable[[], object]]:
    """Makers of replacements by dotted name; each is called when its name is first asked for."""
    makers: dict[str, Callable[[], object]] = {
        "torch.load": lambda: _load(context),
        "torch.serialization.load": lambda: _load(context),
        "torch.save": lambda: _save(context),
        "torch.serialization.save": lambda: _save(context),
        "numpy.load": lambda: _numpy_load(context),
        "torch.compile": lambda: _compile(context),
        "torch._C._get_tracing_state": _tracing_state,
        "numpy.frombuffer": lambda: _frombuffer(context),
        "transformers.utils.is_ninja_available": lambda: _no_ninja,
        "transformers.utils.import_utils.is_ninja_available": lambda: _no_ninja,
        _MESSAGES: lambda: _messages(_MESSAGES, import_module),
        "torch.fx.wrap": lambda: _fx_wrap,
        "torch.fx._symbolic_trace.wrap": lambda: _fx_wrap,
        "torch.jit.script": lambda: _script(context, "torch.jit.script"),
        "torch.jit._script.script": lambda: _script(context, "torch.jit.script"),
        "torch.jit.script_if_tracing": lambda: _script(context, "torch.jit.script_if_tracing"),
    }
    for name in _CONTEXTS:
        makers[name] = lambda: _contexts
    for name in _READERS:
        makers[name] = lambda name=name: mediated_call(_real(name), "read-path", context)  # type: ignore[misc]  # bound now
    for name in _WRITERS:
        makers[name] = lambda name=name: mediated_call(_real(name), "write-path", context, all_paths=True)  # type: ignore[misc]  # bound now
    for name in _JIT_FLAGS:
        makers[name] = lambda name=name: _flag(name)  # type: ignore[misc]  # bound now
    for name in _IMAGE_LOADERS:
        makers[name] = lambda name=name: _image(context, name)  # type: ignore[misc]  # bound now
    for name in _PLAINLY:
        makers[name] = lambda name=name: _plain(context, name)  # type: ignore[misc]  # bound now
    for name in _CACHE_READERS:
        makers[name] = lambda name=name: _from_cache(context, name)  # type: ignore[misc]  # bound now
    return makers
