import dataclasses
from dataclasses import InitVar, asdict, astuple, dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Dict, List, NamedTuple, Optional, Tuple, TypedDict, Union


@dataclass
class Plain:
    """Doc."""

    a: int
    b: str = "x"
    c: List[int] = field(default_factory=list)
    d: Optional["Plain"] = None
    e: "int" = 3
    f: Dict[str, Tuple[int, ...]] = field(default_factory=dict, repr=False, compare=False)
    g: "ClassVar[int]" = 7
    h: ClassVar[Dict[str, int]] = {"k": 1}
    i: list["Plain"] = field(default_factory=list)

    def method(self) -> "Plain":
        return self


@dataclass(frozen=True, order=True)
class Frozen:
    x: int = 1
    y: Any = field(default=2, compare=False, metadata={"help": "why"})


@dataclass(eq=False, repr=False)
class NoEq:
    v: int


@dataclass
class Child(Plain):
    z: float = 1.5
    b: str = "child"


@dataclass(kw_only=True, slots=True)
class Slotted:
    p: int
    q: int = 2


@dataclass
class WithInit:
    seed: InitVar[int]
    other: "InitVar[int]" = 4
    value: int = field(init=False)

    def __post_init__(self, seed, other):
        self.value = seed * other


@dataclass
class KwOnly:
    a: int
    _: dataclasses.KW_ONLY
    b: int = 3


class Point(NamedTuple):
    x: int
    y: "int" = 2

    @property
    def norm(self):
        return self.x + self.y


class Movie(TypedDict, total=False):
    name: str
    year: "int"


def case_plain():
    p = Plain(1, d=Plain(2), c=[3])
    q = replace(p, b="new")
    return p, q, p == Plain(1, d=Plain(2), c=[3]), p != q, asdict(p), astuple(q), p.g, Plain.h, p.method() is p


def case_fields():
    return [(f.name, f.default is dataclasses.MISSING, f.init, f.repr) for f in fields(Plain)], is_dataclass(Plain), is_dataclass(3)


def case_field_types():
    return [f.type if isinstance(f.type, type) else str(f.type) for f in fields(Frozen)]


def case_field_type_text():
    return [f.type for f in fields(Plain) if f.name in ("e", "a", "b")]


def case_independent_defaults():
    a, b = Plain(1), Plain(2)
    a.c.append(5)
    return a.c, b.c


def case_frozen():
    f = Frozen(3)
    return f, hash(f) == hash(Frozen(3)), f < Frozen(4), sorted([Frozen(2), Frozen(1)]), fields(f)[1].metadata["help"]


def case_frozen_set():
    Frozen().x = 2


def case_frozen_delete():
    del Frozen().x


def case_no_eq():
    return NoEq(1) == NoEq(1), NoEq(1).v


def case_child():
    c = Child(1)
    return c, [f.name for f in fields(c)], isinstance(c, Plain)


def case_slotted():
    s = Slotted(p=1)
    return s, s.q


def case_slotted_error():
    Slotted(p=1).nope = 3


def case_slotted_positional():
    Slotted(1)


def case_init_var():
    w = WithInit(3)
    return w, w.value, [f.name for f in fields(w)]


def case_kw_only():
    return KwOnly(1, b=4), KwOnly(2)


def case_missing():
    return Plain()


def case_mutable_default():
    @dataclass
    class Bad:
        x: list = []


def case_field_order():
    @dataclass
    class Bad:
        x: int = 1
        y: int


def case_local():
    @dataclass
    class Local:
        n: int = 1

        def __add__(self, other):
            return Local(self.n + other.n)

    return Local(2) + Local(3), Local.__qualname__


def case_named_tuple():
    p = Point(1)
    return p, p.norm, p._replace(x=5), p._fields, p._asdict(), p == (1, 2), Point._field_defaults, [*p]


def case_typed_dict():
    m = Movie(name="a", year=1)
    return m, type(m) is dict, Movie.__name__


def case_doc():
    return Plain.__doc__, Frozen.__doc__, Plain.__name__


def case_setattr_by_name():
    p = Plain(1)
    for f in fields(p):
        setattr(p, f.name, getattr(p, f.name))
    return p


def case_union():
    @dataclass
    class U:
        a: Union[int, "str"] = 1
        b: "int | None" = None
        c: int | None = None

    return U(), U(a="x"), [f.name for f in fields(U)]


def case_repr_recursive():
    p = Plain(1)
    p.d = p
    return repr(p)


def case_post_init_super():
    @dataclass
    class A:
        x: int

        def __post_init__(self):
            self.log = ["A"]

    @dataclass
    class B(A):
        y: int = 2

        def __post_init__(self):
            super().__post_init__()
            self.log.append("B")

    return B(1).log


def case_config_style():
    @dataclass
    class Cfg:
        sizes: List[int] = field(default_factory=lambda: [1, 2])
        name: str = field(default="n", metadata={"help": "name"})

        @classmethod
        def from_dict(cls, d):
            return cls(**{k: v for k, v in d.items() if k in {f.name for f in fields(cls)}})

    return Cfg.from_dict({"name": "q", "zzz": 1})
