"""The grammar of admitted Python: one table, asked by the analysis and by the guard.

Guarantee: what these tables do not list is refused. Every concrete `ast` class has an entry in
`NODES` (a test counts them on each supported Python), so that new syntax fails our suite and not
the user. Dunder names are an allowlist, by what is done with them: read, defined, declared.

Identifiers need no normalising here: CPython's parser has already put them in NFKC (PEP 3131).
"""

from __future__ import annotations

import re
from typing import Final, Literal

Verdict = Literal["allowed", "refused"]

_ALLOWED_NODES: Final = """
Module Expression Interactive
FunctionDef ClassDef Return Delete Assign AugAssign AnnAssign For While If With Match Raise Try Assert
Import ImportFrom Global Nonlocal Expr Pass Break Continue
BoolOp NamedExpr BinOp UnaryOp Lambda IfExp Dict Set ListComp SetComp DictComp GeneratorExp Yield YieldFrom
Compare Call FormattedValue JoinedStr Constant Attribute Subscript Starred Name List Tuple Slice
Load Store Del And Or
Add BitAnd BitOr BitXor Div FloorDiv LShift MatMult Mod Mult Pow RShift Sub Invert Not UAdd USub
Eq Gt GtE In Is IsNot Lt LtE NotEq NotIn
comprehension ExceptHandler arguments arg keyword alias withitem
match_case MatchValue MatchSingleton MatchSequence MatchStar MatchAs MatchOr
""".split()
#: Refused, and why. Real model code uses none of these (0 of 506 files, `match` once).
_REFUSED_NODES: Final = {
    "AsyncFunctionDef": "coroutines hold frames and run under foreign loops",
    "AsyncFor": "coroutines hold frames and run under foreign loops",
    "AsyncWith": "coroutines hold frames and run under foreign loops",
    "Await": "coroutines hold frames and run under foreign loops",
    "TryStar": "type confusion in except* (CVE-2025-22153)",
    "MatchClass": "class patterns read attributes that no Attribute node names",
    "MatchMapping": "mapping patterns call methods of foreign objects",
    "TypeAlias": "lazily evaluated scopes (PEP 695)",
    "TypeVar": "lazily evaluated scopes (PEP 695)",
    "ParamSpec": "lazily evaluated scopes (PEP 695)",
    "TypeVarTuple": "lazily evaluated scopes (PEP 695)",
    "FunctionType": "type comments are not parsed",
    "TypeIgnore": "type comments are not parsed",
}
NODES: Final[dict[str, str | None]] = {**dict.fromkeys(_ALLOWED_NODES, None), **_REFUSED_NODES}

_OPERATORS: Final = """
__add__ __radd__ __iadd__ __sub__ __rsub__ __isub__ __mul__ __rmul__ __imul__ __matmul__ __rmatmul__
__truediv__ __rtruediv__ __itruediv__ __floordiv__ __rfloordiv__ __ifloordiv__ __mod__ __rmod__ __imod__
__divmod__ __rdivmod__ __pow__ __rpow__ __ipow__ __and__ __rand__ __iand__ __or__ __ror__ __ior__ __xor__ __rxor__
__ixor__ __lshift__ __rlshift__ __ilshift__ __rshift__ __rrshift__ __irshift__ __neg__ __pos__ __abs__ __invert__
__eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __bool__ __int__ __float__ __index__ __round__
""".split()
_CONTAINER: Final = """
__len__ __getitem__ __setitem__ __delitem__ __contains__ __iter__ __next__ __reversed__ __missing__ __length_hint__
""".split()
_OBJECT: Final = """
__init__ __new__ __call__ __enter__ __exit__ __repr__ __str__ __post_init__ __init_subclass__
__getattr__ __getattribute__ __setattr__ __delattr__ __getstate__ __setstate__ __copy__ __deepcopy__
""".split()
#: Dunder methods that remote classes may define. Not: __del__ (runs at any time), __reduce__ and its
#: kin (choose what runs where a pickle is opened), metaclass and descriptor-protocol hooks that
#: trusted code calls with its own objects, buffer and array protocols (raw memory), __fspath__.
DEFINABLE: Final = frozenset(
    [*_OPERATORS, *_CONTAINER, *_OBJECT, "__format__", "__dir__", "__class_getitem__", "__array__"]
)
#: Dunder attributes that may be read. Those in `CHECKED` are looked at again at run time.
READABLE: Final = frozenset(
    [*_OPERATORS, *_CONTAINER, *_OBJECT, "__class__", "__name__", "__qualname__", "__module__", "__doc__",
     "__dict__", "__version__", "__file__", "__all__", "__constants__", "__members__", "__annotations__", "__get__"]
)  # fmt: skip
#: Dunder names that may be assigned as plain variables of a module or class body.
DECLARABLE: Final = frozenset(
    ["__all__", "__version__", "__author__", "__copyright__", "__license__", "__email__", "__doc__", "__slots__",
     "__constants__", "__credits__", "__maintainer__", "__status__", "__date__"]
)  # fmt: skip
#: Dunder names that may be read as plain variables.
VARIABLES: Final = DECLARABLE | {"__name__", "__file__", "__package__", "__class__", "__debug__"}
#: Attributes whose danger depends on the receiver: rewritten, and checked when used.
CHECKED: Final = frozenset(
    ["__class__", "__dict__", "__init__", "__post_init__", "__enter__", "__exit__", "__setitem__", "__delitem__",
     "__getattr__", "__getattribute__", "__setattr__", "__delattr__", "__new__", "__init_subclass__", "__getstate__",
     "__setstate__", "__annotations__", "__get__", "__members__", "fget", "format", "format_map", "obj", "register"]
)  # fmt: skip
#: May be assigned on an object that the remote code owns.
WRITABLE: Final = frozenset(["__doc__", "__dict__", "__name__", "__qualname__", "__version__"])

#: Attributes that trusted code calls on any object: what is stored there is marked as remote code's.
METHODS: Final = frozenset(["forward", "_call_impl", "_compiled_call_impl"])
#: Where these of a configuration name a repository, transformers loads its native kernel (CVE-2026-4372).
IMPLEMENTATIONS: Final = frozenset(["_attn_implementation_internal", "_experts_implementation_internal"])
#: Assigned by `x.name = value` and in no other form: the guard looks at the value.
BY_VALUE: Final = METHODS | IMPLEMENTATIONS

#: Attributes of frames, code, tracebacks, generators, coroutines (as `inspect` documents them); what changes the
#: caller's choice of object (a property's setter), or an abstract class for everybody.
INTROSPECTION: Final = frozenset(
    """
    tb_frame tb_next tb_lasti f_back f_builtins f_code f_globals f_locals f_lasti f_trace f_trace_lines f_trace_opcodes
    f_generator co_code co_consts co_names co_varnames co_cellvars co_freevars co_filename co_flags co_lines
    co_positions
    co_exceptiontable co_linetable co_lnotab co_name co_qualname co_nlocals co_stacksize co_firstlineno co_argcount
    gi_frame gi_code gi_yieldfrom gi_running gi_suspended cr_frame cr_code cr_await cr_origin cr_running
    ag_frame ag_code ag_await ag_running func_globals func_code func_closure func_defaults func_dict
    im_func im_self im_class mro cell_contents
    fset fdel _abc_registry_clear _abc_caches_clear _abc_impl _dump_registry
    """.split()
)


#: What a class lists here transformers loads as a native kernel of the Hub, whatever `trust_remote_code` says
#: (modeling_utils, `allow_all_kernels`): names of implementations, or kernels of an organisation that it trusts.
KERNELS: Final = "_compatible_flash_implementations"
_TRUSTED_KERNEL: Final = re.compile(r"(kernels-community/)?[\w-]+(@[\w.-]+)?")
_IMPLEMENTATION: Final = re.compile(r"[\w|-]+")
#: scipy executes the text that it finds there.
_EXECUTED: Final = "_parse_arg_template"


def is_dunder(name: str) -> bool:
    """Whether `name` is of the form ``__x__``."""
    return len(name) > 4 and name.startswith("__") and name.endswith("__")


def refused_attribute(name: str) -> str | None:
    """Why no code may read an attribute of this name, or None."""
    if name in INTROSPECTION:
        return "reaches frames, code or class internals"
    if is_dunder(name) and name not in READABLE:
        return "is a special attribute outside the allowlist"
    return None


def refused_attribute_store(name: str) -> str | None:
    """Why no code may assign or delete an attribute of this name, or None."""
    if name in INTROSPECTION or (is_dunder(name) and name not in WRITABLE):
        return "is a special attribute that may not be assigned"
    if name in (_EXECUTED, KERNELS):
        return "makes trusted code load native code or execute text"
    return None


def refused_kernels(names: object) -> str | None:
    """Why a class may not list these `KERNELS`, or None."""
    if names is None:
        return None
    plain = type(names) in (list, tuple) and all(
        type(name) is str and _TRUSTED_KERNEL.fullmatch(name)
        for name in names  # type: ignore[attr-defined]  # a list or tuple
    )
    return None if plain else "lists kernels other than those of kernels-community"


def refused_form(name: str) -> str | None:
    """Why an attribute of this name may be stored to by a plain assignment alone, or None."""
    return f"is assigned by `x.{name} = value` and in no other form" if name in BY_VALUE else None


def refused_implementation(name: object) -> str | None:
    """Why none of `IMPLEMENTATIONS` may be this value, or None."""
    plain = name is None or (type(name) is str and _IMPLEMENTATION.fullmatch(name))
    return None if plain else f"makes trusted code load native code: {name!r:.80} is no implementation of transformers"


def refused_variable(name: str) -> str | None:
    """Why no code may read a variable of this name, or None."""
    if is_dunder(name) and name not in VARIABLES | DEFINABLE:
        return "is a special name outside the allowlist"
    return None


def refused_binding(name: str) -> str | None:
    """Why no code may bind this name (by any of the binding forms), or None.

    A definable dunder may be bound too (``__call__ = forward`` in a class body).
    """
    if is_dunder(name) and name not in DECLARABLE | DEFINABLE:
        return "is a special name that may not be bound"
    if name in IMPLEMENTATIONS or name == _EXECUTED:
        return "makes trusted code load native code or execute text"
    return None
