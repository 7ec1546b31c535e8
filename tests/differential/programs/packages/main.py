import importlib
from typing import Optional

from . import alpha
from . import alpha as renamed, beta
from .alpha import *
from .alpha import VALUE as V, Thing, _hidden
from .circ.one import One, two_of
from .starred import *
from .sub import deep, exported, helper as sub_helper
from .sub.deep.leaf import LEAF, up_two, up_three
from .sub.sibling import call_sibling
from .nothing_exported import *
from .late import registry, register

try:
    from .missing_module import nothing
except ImportError as error:
    missing = type(error).__name__

try:
    from .alpha import not_there
except ImportError as error:
    not_there = type(error).__name__

try:
    import flash_attn_that_nobody_has
except ImportError:
    flash_attn_that_nobody_has = None


class Main:
    thing: Optional[Thing] = None


@register("main")
def registered():
    return "registered"


def case_values():
    return V, VALUE, Thing().name(), _hidden, alpha.VALUE, renamed is alpha, beta.from_alpha()


def case_star():
    return public_one, public_two(), "not_in_all" in globals_of_here()


def globals_of_here():
    names = []
    for name in ("not_in_all", "_under", "none_value", "listed_none"):
        try:
            {"not_in_all": lambda: not_in_all, "_under": lambda: _under, "none_value": lambda: none_value,
             "listed_none": lambda: listed_none}[name]()
            names.append(name)
        except NameError:
            pass
    return names


def case_star_names():
    return globals_of_here()


def case_packages():
    return exported, sub_helper(), deep.NAME, LEAF, up_two(), up_three(), call_sibling()


def case_circular():
    return One().partner().back().__class__.__name__, two_of()


def case_inside_functions():
    from .alpha import VALUE as inner
    from .lazy import lazily
    from . import lazy
    from .sub import sibling
    import math as m

    return inner, lazily(), lazy.COUNT, sibling.__name__, m.floor(2.5)


def case_by_name():
    module = importlib.import_module(".alpha", __package__)
    named = importlib.import_module(f".{'lazy'}", package=__package__)
    return module is alpha, named.lazily()


def case_by_name_deep():
    return importlib.import_module(".sub.deep.leaf", __package__).LEAF


def case_by_name_missing():
    try:
        importlib.import_module(".nowhere", __package__)
    except ImportError as error:
        return type(error).__name__


def case_names():
    return __name__, __package__, alpha.__name__, Thing.__module__, sub_helper.__module__, __file__, alpha.__file__


def case_missing():
    return missing, not_there, flash_attn_that_nobody_has


def case_module_state():
    alpha.bump()
    alpha.bump()
    return alpha.STATE, alpha.counter(), renamed.counter()


def case_setting_own_module():
    return sorted(registry), registry["main"]()


def case_module_attributes():
    return hasattr(alpha, "VALUE"), getattr(alpha, "nope", "no"), alpha.Thing is Thing


def case_module_attribute_missing():
    return alpha.nope
