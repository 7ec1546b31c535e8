"""Methods of libraries that no remote code may have called, however it gets at them.

Each is replaced on its class by itself behind a question: is remote code on the stack? So neither a subclass, nor
`super()`, nor a library that calls it for remote code gets past. What only matters off its class (methods that would
take any receiver) is asked for an instance instead.
"""

from __future__ import annotations

import functools
import sys
from types import FunctionType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from ...grammar import is_dunder
from .. import formats
from ..ownership import context_of_globals, context_on_stack, owns_class
from ..refusal import refuse
from . import compile_settings, compilers, exports, graphs, native, type_texts
from .caches import copying_for_remote_code
from .late import loaded
from .memory import protocol_members

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

#: They update the namespace of, format a text of, or import, whatever their arguments or their receiver name.
_NEVER: Final = (
    "torch.optim.lr_scheduler.LambdaLR.load_state_dict", "torch.optim.lr_scheduler.MultiplicativeLR.load_state_dict",
    "torch.optim.lr_scheduler.LambdaLR.state_dict", "torch.optim.lr_scheduler.MultiplicativeLR.state_dict",
    "torch.optim.lr_scheduler.CyclicLR.load_state_dict", "torch.optim.lr_scheduler.CyclicLR.state_dict",
    "yaml.constructor.SafeConstructor.construct_yaml_object",
    "yaml.constructor.FullConstructor.set_python_instance_state",
    "transformers.models.florence2.processing_florence2.Florence2Processor._construct_prompts",
    "transformers.models.muse_glimmer.processing_muse_glimmer.MuseGlimmerProcessor.replace_video_token",
    "transformers.models.muse_spark.processing_muse_spark.MuseSparkProcessor.replace_video_token",
    "yaml.constructor.FullConstructor.find_python_module", "yaml.constructor.FullConstructor.find_python_name",
)  # fmt: skip
#: They put a context where nobody may ever close it, or execute text: for library code that names them itself.
_NOT_DIRECTLY: Final = (
    *(f"contextlib._BaseExitStack.{name}" for name in ("enter_context", "push", "callback", "pop_all")),
    *(f"torch.fx.experimental.symbolic_shapes.ShapeEnv.{name}"
      for name in ("evaluate_symexpr", "deserialize_symexpr", "evaluate_guards_expression")),
)  # fmt: skip
#: They look up what attributes of their receiver name, or write to it.
_OF_INSTANCES: Final = (
    "transformers.processing_utils._LazyAutoProcessorMapping.__getitem__",
    "transformers.models.auto.configuration_auto._LazyConfigMapping.__getitem__",
    "transformers.models.auto.auto_factory._LazyAutoMapping.__getitem__",
    "transformers.image_utils.SizeDict.__setitem__", "transformers.video_utils.VideoMetadata.__setitem__",
)  # fmt: skip
#: An item is an attribute as well, whatever its name.
_ITEM_WRITERS: Final = (
    "easydict.EasyDict.__setitem__", "easydict.EasyDict.__setattr__",
    "transformers.utils.generic.ModelOutput.__setitem__",
)  # fmt: skip
#: They write to the class that they are called on.
_OF_OWN_CLASSES: Final = (
    "transformers.configuration_utils.PreTrainedConfig", "transformers.configuration_utils.PretrainedConfig",
    "transformers.modeling_utils.PreTrainedModel", "transformers.tokenization_utils_base.PreTrainedTokenizerBase",
    "transformers.processing_utils.ProcessorMixin", "transformers.image_processing_base.ImageProcessingMixin",
    "transformers.feature_extraction_utils.FeatureExtractionMixin",
    "transformers.video_processing_utils.BaseVideoProcessor",
)  # fmt: skip
_FUNCTIONS: Final = compilers.FUNCTIONS | exports.FUNCTIONS | graphs.FUNCTIONS | native.FUNCTIONS | type_texts.FUNCTIONS
_asked: Final[set[str]] = set()


def _never(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if context_on_stack(sys._getframe(1)) is not None:
            refuse(f"{method.__qualname__} for remote code")
        return method(*arguments, **keywords)

    return call


def _spells(frame: FrameType, method: Callable[..., Any]) -> bool:
    """Whether the code of `frame` itself names the method; `tree_map` and its like call what they were given."""
    return method.__name__ in frame.f_code.co_names


def _not_directly(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **keywords: Any) -> Any:
        frame = sys._getframe(1)
        direct = context_of_globals(id(frame.f_globals)) is not None or not _spells(frame, method)
        if direct and context_on_stack(frame) is not None:
            refuse(f"{method.__qualname__} by remote code")
        return method(*arguments, **keywords)

    return call


def _of_instance(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if not issubclass(type(self), cls):
            refuse(f"{method.__qualname__} of something that is no {cls.__qualname__}")
        return method(self, *arguments, **keywords)

    return call


def _of_plain_name(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, name: Any, value: Any) -> Any:
        if isinstance(name, str) and is_dunder(str.__str__(name)):
            refuse(f"item {str.__str__(name)} of a {cls.__qualname__} would be an attribute of its instance")
        return method(self, name, value)

    return call


def _of_own_class(cls: type, method: Any) -> Any:
    function = method.__func__

    @functools.wraps(function)
    def call(cls: Any, *arguments: Any, **keywords: Any) -> Any:
        if context_on_stack(sys._getframe(1)) is not None and not owns_class(cls):
            refuse(f"{function.__name__} of {cls.__qualname__}, which this code does not own")
        return function(cls, *arguments, **keywords)

    return classmethod(call)


def _of_real_error(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """Tracebacks are shown with the lines of the files that they name, so they must be real."""

    @functools.wraps(method)
    def call(self: Any, ei: Any, *arguments: Any, **keywords: Any) -> Any:
        if context_on_stack(sys._getframe(1)) is not None:
            kind, error, trace = ei
            if not isinstance(error, BaseException | None) or type(trace) not in (TracebackType, type(None)):
                refuse(f"{method.__qualname__} of something that is no error")
            ei = (kind, error, trace)
        return method(self, ei, *arguments, **keywords)

    return call


def _of_own_logger(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """Remote code sets levels of its own loggers, a library of those that bear its name; else nothing happens."""

    @functools.wraps(method)
    def call(self: Any, level: Any, *arguments: Any, **keywords: Any) -> Any:
        frame = sys._getframe(1)
        context = context_on_stack(frame)
        caller = str(frame.f_globals.get("__name__", ""))
        of_library = context is None or (not context_of_globals(id(frame.f_globals)) and _spells(frame, method))
        owner = caller.partition(".")[0] if of_library else context.name  # type: ignore[union-attr]  # there is one
        if context is None or f"{self.name}.".startswith(f"{owner}."):
            return method(self, level, *arguments, **keywords)
        return None

    return call


def _whole(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """A mask of flex attention lays out globals, code and cells of its function; for remote code it keeps it whole.

    So it does where `torch.compile` traces it.
    """

    @functools.wraps(real)
    def extract(fn: Any, *arguments: Any) -> Any:
        if context_on_stack(sys._getframe(1)) is not None:
            return (), module._EMPTY_CLOSURE_SPEC, fn
        return real(fn, *arguments)

    return extract


def _vouching_for_all(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """Native kernels of any Hub repository are the user's to allow."""

    @functools.wraps(real)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if context_on_stack(sys._getframe(1)) is not None:
            refuse("allow_all_kernels, given by remote code")
        return real(*arguments, **keywords)

    return call


def _without_vouching(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(*arguments: Any, **keywords: Any) -> Any:
        vouched = keywords.get("allow_all_kernels") or any(arguments[3:])
        if vouched and not module.ALLOW_ALL_KERNELS and context_on_stack(sys._getframe(1)) is not None:
            refuse("allow_all_kernels, given by remote code")
        return real(*arguments, **keywords)

    return call


def _ask_function(dotted: str, question: Callable[[Any, Any], Any]) -> None:
    """Put the question before a function, wherever a module holds it under its name."""
    place, _, name = dotted.rpartition(".")
    module = loaded(place)
    real = None if module is None else vars(module).get(name)
    if dotted in _asked or not isinstance(real, FunctionType):
        return
    _asked.add(dotted)
    asking = question(module, real)
    for holder in list(sys.modules.values()):
        if isinstance(holder, ModuleType) and vars(holder).get(name) is real:
            setattr(holder, name, asking)


def _of_new_names(cls: type, method: Any) -> Any:
    """The `__init_subclass__` that puts a class into the tables of cache layers: in nobody else's place."""
    function = method.__func__

    @functools.wraps(function)
    def __init_subclass__(cls: Any, *arguments: Any, **keywords: Any) -> Any:
        module: Any = sys.modules["transformers.cache_utils"]
        tables = (module.STATIC_LAYER_TYPE_MAPPING, module.DYNAMIC_LAYER_TYPE_MAPPING)
        before = [dict(table) for table in tables]
        function(cls, *arguments, **keywords)
        taken = [(table, name, known) for table, entries in zip(tables, before, strict=True)
                 for name, known in entries.items() if table[name] is not known and not owns_class(known)]  # fmt: skip
        for table, name, known in taken if owns_class(cls) else ():
            table[name] = known
            if "_layer_type" in cls.__dict__:  # else it has the name of the class that it derives from
                refuse(f"{cls.__qualname__} takes the place of {known.__qualname__}, which this code does not own")

    return classmethod(__init_subclass__)


def withhold_methods() -> None:
    """Put the question before the methods of the libraries that are loaded."""
    for dotted in _NEVER:
        _ask(dotted, _never)
    for dotted in _NOT_DIRECTLY:
        _ask(dotted, _not_directly)
    for dotted in _OF_INSTANCES:
        _ask(dotted, _of_instance)
    for dotted in _ITEM_WRITERS:
        _ask(dotted, _of_plain_name)
    _ask(
        "transformers.generation.stopping_criteria.StopStringCriteria.clean_and_embed_tokens_with_cache",
        copying_for_remote_code,
    )
    _ask("transformers.cache_utils.CacheLayerMixin.__init_subclass__", _of_new_names)
    for dotted in _OF_OWN_CLASSES:
        _ask(f"{dotted}.register_for_auto_class", _of_own_class)
    _ask_function("torch.nn.attention.flex_attention._extract_callable_pytree", _whole)
    _ask_function("transformers.integrations.hub_kernels.allow_all_hub_kernels", _vouching_for_all)
    _ask_function("transformers.integrations.hub_kernels.get_kernel", _without_vouching)
    for place in ("typing", "typing_extensions"):
        _ask_function(f"{place}._get_protocol_attrs", protocol_members)
    for dotted, of_function in _FUNCTIONS.items():
        _ask_function(dotted, of_function)
    for dotted, of_method in (compile_settings.METHODS | compilers.METHODS | graphs.METHODS).items():
        _ask(dotted, of_method)
    _ask("logging.Formatter.formatException", _of_real_error)
    _ask("logging.Logger.setLevel", _of_own_logger)
    for dotted, (position, keyword) in formats.OF_ARGUMENT.items():
        _ask(dotted, functools.partial(formats.checking_argument, position=position, keyword=keyword))
    for dotted, (position, keyword) in formats.OF_FUNCTION.items():
        _ask_function(dotted, functools.partial(formats.checking_argument, position=position, keyword=keyword))
    for dotted, attribute in formats.OF_RECEIVER.items():
        _ask(dotted, functools.partial(formats.checking_receiver, attribute=attribute))


def _ask(dotted: str, question: Callable[[type, Any], Any]) -> None:
    place, _, name = dotted.rpartition(".")
    module, _, kind = place.rpartition(".")
    holder = loaded(module)
    cls = None if holder is None else vars(holder).get(kind)
    if dotted not in _asked and isinstance(cls, type) and name in cls.__dict__:
        _asked.add(dotted)
        type.__setattr__(cls, name, question(cls, cls.__dict__[name]))
