"""Methods of libraries that no remote code may have called, however it gets at them.

Each is replaced on its class by itself behind a question: is remote code on the stack? So neither a subclass, nor
`super()`, nor a library that calls it for remote code gets past. What only matters off its class (methods that would
take any receiver) is asked for an instance instead.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Final

from ..errors import GuardViolationError
from ..refusal_log import LOG
from .ownership import context_on_stack, owns_class

if TYPE_CHECKING:
    from collections.abc import Callable

#: They update the namespace of, or import, whatever their arguments or their receiver name.
_NEVER: Final = (
    "torch.optim.lr_scheduler.LambdaLR.load_state_dict", "torch.optim.lr_scheduler.MultiplicativeLR.load_state_dict",
    "torch.optim.lr_scheduler.LambdaLR.state_dict", "torch.optim.lr_scheduler.MultiplicativeLR.state_dict",
    "torch.optim.lr_scheduler.CyclicLR.load_state_dict", "yaml.constructor.SafeConstructor.construct_yaml_object",
    "yaml.constructor.FullConstructor.set_python_instance_state",
    "yaml.constructor.FullConstructor.find_python_module", "yaml.constructor.FullConstructor.find_python_name",
)  # fmt: skip
#: They look up what attributes of their receiver name, or write to it.
_OF_INSTANCES: Final = (
    "transformers.processing_utils._LazyAutoProcessorMapping.__getitem__",
    "transformers.models.auto.configuration_auto._LazyConfigMapping.__getitem__",
    "transformers.models.auto.auto_factory._LazyAutoMapping.__getitem__",
    "transformers.image_utils.SizeDict.__setitem__", "transformers.video_utils.VideoMetadata.__setitem__",
)  # fmt: skip
#: They write to the class that they are called on.
_OF_OWN_CLASSES: Final = (
    "transformers.configuration_utils.PreTrainedConfig", "transformers.configuration_utils.PretrainedConfig",
    "transformers.modeling_utils.PreTrainedModel", "transformers.tokenization_utils_base.PreTrainedTokenizerBase",
    "transformers.processing_utils.ProcessorMixin", "transformers.image_processing_base.ImageProcessingMixin",
    "transformers.feature_extraction_utils.FeatureExtractionMixin",
    "transformers.video_processing_utils.BaseVideoProcessor",
)  # fmt: skip
_asked: Final[set[str]] = set()


def _refuse(what: str) -> None:
    raise LOG.record(GuardViolationError(what, remedy="this is never granted; remove it from the code"))


def _never(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if context_on_stack(sys._getframe(1)) is not None:
            _refuse(f"{method.__qualname__} for remote code")
        return method(*arguments, **keywords)

    return call


def _of_instance(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if not issubclass(type(self), cls):
            _refuse(f"{method.__qualname__} of something that is no {cls.__qualname__}")
        return method(self, *arguments, **keywords)

    return call


def _of_own_class(cls: type, method: Any) -> Any:
    function = method.__func__

    @functools.wraps(function)
    def call(cls: Any, *arguments: Any, **keywords: Any) -> Any:
        if context_on_stack(sys._getframe(1)) is not None and not owns_class(cls):
            _refuse(f"{function.__name__} of {cls.__qualname__}, which this code does not own")
        return function(cls, *arguments, **keywords)

    return classmethod(call)


def _of_new_names(cls: type, method: Any) -> Any:
    """The `__init_subclass__` that puts a class into the tables of cache layers: in nobody else's place."""
    function = method.__func__

    @functools.wraps(function)
    def __init_subclass__(cls: Any, *arguments: Any, **keywords: Any) -> Any:
        module: Any = sys.modules["transformers.cache_utils"]
        for table in (module.STATIC_LAYER_TYPE_MAPPING, module.DYNAMIC_LAYER_TYPE_MAPPING):
            known = table.get(cls.__dict__.get("_layer_type"))
            if known is not None and owns_class(cls) and not owns_class(known):
                _refuse(f"{cls.__qualname__} takes the place of {known.__qualname__}, which this code does not own")
        return function(cls, *arguments, **keywords)

    return classmethod(__init_subclass__)


def withhold_methods() -> None:
    """Put the question before the methods of the libraries that are loaded."""
    for dotted in _NEVER:
        _ask(dotted, _never)
    for dotted in _OF_INSTANCES:
        _ask(dotted, _of_instance)
    _ask("transformers.cache_utils.CacheLayerMixin.__init_subclass__", _of_new_names)
    for dotted in _OF_OWN_CLASSES:
        _ask(f"{dotted}.register_for_auto_class", _of_own_class)


def _ask(dotted: str, question: Callable[[type, Any], Any]) -> None:
    place, _, name = dotted.rpartition(".")
    module, _, kind = place.rpartition(".")
    cls = vars(sys.modules[module]).get(kind) if module in sys.modules else None
    if dotted not in _asked and isinstance(cls, type) and name in cls.__dict__:
        _asked.add(dotted)
        type.__setattr__(cls, name, question(cls, cls.__dict__[name]))
