import abc
from collections import OrderedDict, UserDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Base:
    registry = {}
    kinds = []

    def __init_subclass__(cls, /, tag=None, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.tag = tag
        Base.registry[cls.__name__] = tag
        Base.kinds.append(cls)

    def __init__(self, x, *, y=2):
        self.x = x
        self.y = y

    @property
    def total(self):
        """x and y."""
        return self.x + self.y

    @total.setter
    def total(self, value):
        self.x = value - self.y

    @total.deleter
    def total(self):
        del self.x

    @classmethod
    def make(cls, n):
        return cls(n, y=n)

    @staticmethod
    def twice(n):
        return 2 * n

    def __repr__(self):
        return f"{self.__class__.__name__}({self.x!r}, y={self.y!r})"


class Child(Base, tag="c"):
    def __init__(self, x, **kwargs):
        super().__init__(x, **kwargs)
        self.extra = [x]

    @property
    def total(self):
        return super().total * 10

    @classmethod
    def make(cls, n):
        return super().make(n + 1)

    def deep(self):
        def inner():
            return [super(Child, self).total for _ in range(2)]

        return inner()


class Left(Base):
    def who(self):
        return ["Left"]


class Right(Base):
    def who(self):
        return ["Right"]


class Both(Left, Right, tag=("b", 1)):
    def who(self):
        return super().who() + super(Left, self).who()


class Mangled:
    __secret = 1
    __slots__ = ("__inner", "open_")

    def __init__(self):
        self.__inner = 5
        self.open_ = 6

    def __hidden(self):
        return self.__inner + self.__secret

    def call(self):
        return self.__hidden(), self._Mangled__inner

    class __Nested:
        pass

    def nested(self):
        return self.__Nested.__name__, self.__Nested.__qualname__


class Operators:
    def __init__(self, v):
        self.v = v

    def __add__(self, other):
        return Operators(self.v + getattr(other, "v", other))

    __radd__ = __add__

    def __iadd__(self, other):
        self.v += other
        return self

    def __matmul__(self, other):
        return ("@", self.v, other)

    def __getitem__(self, key):
        return ("item", key)

    def __setitem__(self, key, value):
        self.v = (key, value)

    def __delitem__(self, key):
        self.v = ("deleted", key)

    def __contains__(self, x):
        return x == self.v

    def __len__(self):
        return 3

    def __bool__(self):
        return False

    def __call__(self, *args, **kwargs):
        return args, kwargs

    def __eq__(self, other):
        return isinstance(other, Operators) and self.v == other.v

    def __hash__(self):
        return hash(self.v)

    def __lt__(self, other):
        return self.v < other.v

    def __neg__(self):
        return -self.v

    def __iter__(self):
        return iter([self.v])

    def __format__(self, spec):
        return f"<{spec}>"

    def __index__(self):
        return 7

    def __int__(self):
        return 8

    def __float__(self):
        return 9.5

    def __round__(self, n=None):
        return ("round", n)

    def __reversed__(self):
        return iter("rev")

    def __dir__(self):
        return ["a", "b"]


class Dynamic:
    def __init__(self):
        self.store = {"known": 1}

    def __getattr__(self, name):
        if name in ("store",):
            raise AttributeError(name)
        try:
            return self.store[name]
        except KeyError:
            raise AttributeError(f"no {name}") from None

    def __setattr__(self, name, value):
        if name == "store":
            super().__setattr__(name, value)
        else:
            self.store[name] = value

    def __delattr__(self, name):
        del self.store[name]


class Watching:
    log = []

    def __init__(self):
        object.__setattr__(self, "v", 3)

    def __getattribute__(self, name):
        Watching.log.append(name)
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        Watching.log.append(("set", name))
        object.__setattr__(self, name, value)


class SuperWatching(Watching):
    def __getattribute__(self, name):
        if name == "magic":
            return "made"
        return super().__getattribute__(name)


class Gen(Generic[T]):
    def __init__(self, item: T):
        self.item = item


class IntGen(Gen[int]):
    pass


class Indexed:
    def __class_getitem__(cls, item):
        return (cls.__name__, item)


class Abstract(abc.ABC):
    @abc.abstractmethod
    def do(self):
        ...

    @property
    @abc.abstractmethod
    def prop(self):
        ...


class Concrete(Abstract):
    def do(self):
        return "done"

    @property
    def prop(self):
        return 1


class MyDict(OrderedDict):
    def __missing__(self, key):
        return key * 2

    def __setitem__(self, key, value):
        super().__setitem__(key, value + 1)


class Singleton:
    _instance = None

    def __new__(cls, *args, **kwargs):
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __init__(self, v):
        self.v = v


class Descriptive(int):
    def __new__(cls, v, label):
        self = super().__new__(cls, v)
        self.label = label
        return self


class WithBody:
    numbers = [i * 2 for i in range(3)]
    table = {k: v for k, v in zip("ab", numbers)}
    if len(numbers) == 3:
        flag = True
    for _i in range(2):
        last = _i
    del _i

    def f(self, d=numbers):
        return d


def case_inheritance():
    c = Child(3, y=4)
    return c, c.total, c.extra, Child.make(1), Child.twice(4), c.deep(), c.tag


def case_property():
    b = Base(1)
    b.total = 10
    before = (b.x, b.total)
    del b.total
    return before, hasattr(b, "x"), Base.total.fget is not None, type(Base.total).__name__


def case_property_no_setter():
    Concrete().prop = 3


def case_init_subclass():
    return Base.registry, [k.__name__ for k in Base.kinds], Both.tag


def case_mro():
    return Both(1).who(), isinstance(Both(1), Right), issubclass(Both, Left), issubclass(Child, (Left, Base))


def case_mangling():
    m = Mangled()
    return m.call(), m.nested(), m.open_


def case_mangling_outside():
    return Mangled().__inner


def case_slots():
    Mangled().other = 1


def case_operators():
    o = Operators(2)
    out = [(o + 3).v, (3 + o).v, o @ 4, o[1], o[1:2, ...], len(o), bool(o), o(1, a=2), f"{o:>x}", format(o, "zz")]
    p = o
    p += 5
    out += [o.v, p is o, -o, list(o), [0, 1, 2, 3, 4, 5, 6, 7, 8][o], int(o), float(o), round(o), round(o, 2)]
    o["k"] = 9
    out.append(o.v)
    del o["z"]
    out.append(o.v)
    out += [sorted([Operators(3), Operators(1)])[0].v, Operators(1) == Operators(1), hash(Operators(1)) == hash(1)]
    out += ["".join(reversed(o)), dir(o), o != Operators(4), Operators(1) in {Operators(1)}]
    return out


def case_dynamic():
    d = Dynamic()
    d.a = 5
    out = [d.a, d.known, getattr(d, "nope", "default"), hasattr(d, "nope"), hasattr(d, "a")]
    del d.a
    out.append(hasattr(d, "a"))
    setattr(d, "z", 4)
    out.append(d.z)
    delattr(d, "z")
    return out, d.store


def case_dynamic_missing():
    return Dynamic().nothing


def case_getattribute():
    Watching.log.clear()
    w = Watching()
    w.v = 4
    out = w.v
    s = SuperWatching()
    return out, s.magic, s.v, [name for name in Watching.log if name != "__class__"]  # the guard looks at it, too


def case_generic():
    alias = Gen[str]
    return Gen(1).item, alias("x").item, IntGen(3).item, str(alias), Indexed[1, 2], Gen[int] == Gen[int]


def case_abstract():
    return Concrete().do(), Concrete().prop


def case_abstract_instance():
    Abstract()


def case_mydict():
    d = MyDict()
    d["a"] = 1
    d.update(b=2)
    return d, d["zz"], list(d.items()), isinstance(d, dict)


def case_userdict():
    class U(UserDict):
        def __getitem__(self, key):
            return super().__getitem__(key) * 2

    u = U(a=1)
    return u["a"], u.data, u


def case_new():
    a, b = Singleton(1), Singleton(2)
    d = Descriptive(4, "four")
    return a is b, a.v, d, d.label, d + 1


def case_object_new():
    o = object.__new__(Base)
    o.x, o.y = 1, 2
    c = Base.__new__(Child)
    return o, type(c).__name__, type(c) is Child, type(c) == Child


def case_body():
    return WithBody.numbers, WithBody.table, WithBody.flag, WithBody.last, hasattr(WithBody, "_i"), WithBody().f()


def case_names():
    return (Base.__name__, Base.__qualname__, Base.__module__, Base.total.__doc__, Child.make.__name__,
            Child.make.__qualname__, Base(1).make.__name__, Base.__doc__)


def case_local_class():
    def make(n):
        class Local(Base):
            value = n

            def get(self):
                return self.value + n

        return Local

    return make(2)(1).get(), make(3).__qualname__, make(4)(1)


def case_instance_dict():
    b = Base(1)
    b.__dict__["z"] = 3
    b.__dict__.update(w=4)
    return b.z, b.w, sorted(b.__dict__), "x" in b.__dict__, b.__dict__.get("q")


def case_class_identity():
    b = Child(1)
    return b.__class__ is Child, type(b) is Child, b.__class__.__name__, isinstance(b, b.__class__), type(3) is int


def case_class_attributes():
    Base.newly = 5
    setattr(Child, "other", 6)
    out = Child.newly, Child(1).other
    del Base.newly
    delattr(Child, "other")
    return out, hasattr(Base, "newly"), hasattr(Child, "other")


def case_attribute_error():
    return Base(1).nothing


def case_method_attribute():
    def f(self):
        return self.x

    f.mark = 1
    Base.added = f
    try:
        return Base(7).added(), Base.added.mark
    finally:
        del Base.added


def case_bound_method():
    m = Base(3).make
    n = Child(2).deep
    return m(4), n(), callable(m), [type(x).__name__ for x in (m, Base.twice, Base.make)]


def case_own_instance_attributes_by_name():
    b = Base(1)
    for i, name in enumerate(["q", "w"]):
        setattr(b, name, i)
    return [getattr(b, n) for n in ("q", "w", "x")], [hasattr(b, n) for n in ("q", "nope")]


def case_isinstance():
    return isinstance(Base, type), isinstance(3, type), isinstance(Base(1), object), isinstance(True, (int, str)), isinstance(3, int | str)
