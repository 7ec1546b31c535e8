import contextlib
import functools
import itertools
import math
import re
from collections import Counter, defaultdict, deque, namedtuple
from functools import lru_cache, partial, reduce, wraps

counter = 0
_private = "p"
CONSTANT = {"a": [1, 2]}


def bump(n=1):
    global counter
    counter += n
    return counter


def make_counter():
    n = 0

    def inc(by=1):
        nonlocal n
        n += by
        return n

    def reset():
        nonlocal n
        n = 0

    return inc, reset


def shout(f):
    @wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **kwargs).upper()

    return wrapper


def repeat(times):
    def deco(f):
        @functools.wraps(f)
        def inner(*a, **k):
            return [f(*a, **k) for _ in range(times)]

        return inner

    return deco


@shout
def hello(name: str = "x") -> str:
    """Says hello."""
    return f"hello {name}"


@repeat(times=2)
@shout
def bye(name):
    return "bye " + name


class Deco:
    def __init__(self, f):
        functools.update_wrapper(self, f)
        self.f = f
        self.calls = 0

    def __call__(self, *a):
        self.calls += 1
        return self.f(*a)


@Deco
def counted(x):
    """Doc of counted."""
    return x + 1


@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@functools.cache
def cached(n):
    print("computing", n)
    return n * n


@functools.total_ordering
class Ordered:
    def __init__(self, v):
        self.v = v

    def __eq__(self, o):
        return self.v == o.v

    def __lt__(self, o):
        return self.v < o.v


class Cached:
    @functools.cached_property
    def heavy(self):
        print("heavy")
        return 42

    @lru_cache
    def method(self, x):
        return x * 2


def case_global():
    return bump(), bump(4), counter


def case_closures():
    inc, reset = make_counter()
    out = [inc(), inc(5)]
    reset()
    out.append(inc())
    fs = [lambda x, i=i: x + i for i in range(3)]
    late = [lambda: i for i in range(3)]
    return out, [f(10) for f in fs], [f() for f in late]


def case_wraps():
    return hello("you"), hello.__name__, hello.__doc__, hello.__qualname__, hello.__module__, bye("now"), bye.__name__


def case_update_wrapper():
    return counted(1), counted(2), counted.calls, counted.__doc__, counted.__name__


def case_caches():
    return fib(30), cached(3), cached(3), fib.cache_info(), Cached().heavy, Cached().method(4)


def case_cached_property():
    c = Cached()
    return c.heavy, c.heavy, c.__dict__


def case_partial():
    p = partial(int, base=2)
    q = partial(max, 3)
    return p("101"), q(1, 5), p.keywords, p.args, reduce(lambda a, b: a * b, range(1, 6)), p.func is int


def case_partialmethod():
    class A:
        def f(self, a, b):
            return a, b

        g = functools.partialmethod(f, 1)

    return A().g(2)


def case_total_ordering():
    return Ordered(1) <= Ordered(2), Ordered(3) >= Ordered(4), max(Ordered(1), Ordered(9)).v


def case_star_args():
    def f(a, /, b, *args, c=3, d, **kw):
        return a, b, args, c, d, kw

    args, kw = (1, 2, 3), {"d": 4, "e": 5}
    return f(*args, **kw), f(1, *[2], *(3, 4), d=1, **{"z": 1}, **{"y": 2}), f(1, b=2, d=3)


def case_wrong_args():
    def f(a, *, b):
        return a

    return f(1, 2)


def case_missing_keyword():
    def f(a, *, b):
        return a

    return f(1)


def case_unpacking():
    a, (b, *c), d = 1, (2, 3, 4), 5
    first, *rest = "abc"
    [x, y] = {"k": 1, "l": 2}
    return a, b, c, d, first, rest, x, y, [*c, *rest], {**{"a": 1}, "b": 2}, (*c,), {*c}


def case_unpacking_error():
    a, b = [1, 2, 3]


def case_comprehensions():
    m = [[1, 2], [3, 4]]
    return ([y for x in m for y in x if y % 2], {x: y for x, y in m}, {c for c in "aab"}, list(x * 2 for x in range(3)),
            [[y for y in x] for x in m], sum(i for i in range(10) if i if i > 5))


def case_walrus():
    out = []
    if (n := len("abc")) > 2:
        out.append(n)
    while (n := n - 1) > 0:
        out.append(n)
    found = [last := i for i in range(4)]
    return out, n, found, last, [y for x in range(3) if (y := x * 2) > 1]


def case_generators():
    def gen():
        got = yield 1
        print("got", got)
        try:
            yield got
        except ValueError as e:
            yield f"caught {e}"
        finally:
            print("closing")
        return "result"

    def outer():
        r = yield from gen()
        yield ("outer", r)

    g = outer()
    out = [next(g), g.send("hi"), g.throw(ValueError("bad"))]
    out += list(g)
    h = gen()
    next(h)
    h.close()
    return out


def case_stop_iteration():
    def g():
        yield 1

    it = g()
    next(it)
    return next(it, "end"), next(it)


def case_try():
    out = []
    for i in range(4):
        try:
            if i == 0:
                raise ValueError("zero")
            if i == 1:
                [][5]
            if i == 2:
                continue
        except (ValueError, IndexError) as error:
            out.append((i, type(error).__name__, str(error), error.args))
        else:
            out.append((i, "else"))
        finally:
            out.append((i, "finally"))
    return out


def case_raise_from():
    try:
        try:
            1 / 0
        except ZeroDivisionError as e:
            raise KeyError("k") from e
    except KeyError as e:
        return repr(e), e.args
    finally:
        print("done")


def case_reraise():
    try:
        raise RuntimeError("a")
    except RuntimeError:
        raise


def case_own_exception():
    class Bad(ValueError):
        def __init__(self, code):
            super().__init__(f"code {code}")
            self.code = code

    try:
        raise Bad(3)
    except ValueError as e:
        print(e, e.code, isinstance(e, Bad))
    raise Bad(4)


def case_exception_name_gone():
    try:
        raise ValueError
    except ValueError as e:
        pass
    return e


def case_assert():
    assert 1 == 1
    assert 1 == 2, "not equal"


def case_key_error():
    return {}["k"]


def case_type_error():
    return 1 + "a"


def case_name_error():
    return undefined_name  # noqa: F821


def case_unbound():
    if counter < 0:
        x = 1
    return x


def case_recursion():
    def f(n):
        return f(n + 1)

    try:
        f(0)
    except RecursionError:
        return "recursion"


def case_context_managers():
    class CM:
        def __init__(self, swallow):
            self.swallow = swallow

        def __enter__(self):
            print("enter")
            return self

        def __exit__(self, kind, value, trace):
            print("exit", kind.__name__ if kind else None, value)
            return self.swallow

    @contextlib.contextmanager
    def cm(x):
        print("in")
        try:
            yield x
        finally:
            print("out")

    with CM(True) as a, cm(3) as b:
        print(a.swallow, b)
        raise ValueError("swallowed")
    with contextlib.suppress(KeyError):
        {}["x"]
    with contextlib.nullcontext(5) as five:
        pass
    return five


def case_context_manager_raises():
    @contextlib.contextmanager
    def cm():
        yield

    with cm():
        raise ValueError("through")


def case_augmented():
    class A:
        pass

    a = A()
    a.n, a.l, a.d = 1, [1], {"k": 1}
    a.n += 2
    a.n **= 3
    a.l += [2]
    a.l *= 2
    a.d["k"] += 5
    a.d |= {"z": 1}
    x = y = [0]
    x += [1]
    a.l[0] -= 7
    a.n //= 4
    a.n <<= 2
    s = {1}
    s |= {2}
    s &= {2, 3}
    return a.n, a.l, a.d, x, y, s


def case_chained():
    a = [1, 2, 3]
    calls = []

    def f(x):
        calls.append(x)
        return x

    return 1 < 2 < 3, f(3) < f(1) < f(9), calls, 1 in a in [[1, 2, 3]], a is not None, not a, 1 == 1.0 != 2


def case_slices():
    a = list(range(10))
    b = a[:]
    b[2:5] = ["x"]
    del b[::3]
    return a[1:8:3], a[::-1], a[-3:], b, "abc"[1:], a[slice(2, 4)], (1, 2, 3)[:-1]


def case_delete():
    d = {"a": 1, "b": 2}
    del d["a"]
    x = 1
    del x
    try:
        x
    except UnboundLocalError as e:
        return d, str(e)


def case_fstrings():
    n, s, w = 3.14159, "hi", 10
    d = {"k": [1]}
    return (f"{n:.2f}|{s!r:>8}|{s:^{w}}|{d['k'][0]}|{n=}|{{}}|{len(s)!s}|{'nested ' + f'{s}'}|{n:{w}.{2}}"
            f"{counter and 'c' or 'd'!a}")


def case_format():
    return ("{} {1}".replace("{1}", "{}").format(1, 2), "{a:>5}|{b!r}".format(a=1, b="x"), "{0}{0}".format("r"),
            "{0[1]} {k[a]}".format([1, 2], k={"a": 3}), "%s %d %5.2f" % ("a", 1, 2.5), "%(a)s" % {"a": 1},
            "{:{w}}".format("p", w=4), "{!s:>4}".format(1), "x{{}}".format(), "{:,}".format(10**6),
            "{a}".format_map({"a": 1}))


def case_format_error():
    return "{} {}".format(1)


def case_format_key_error():
    return "{a}".format(b=1)


def case_format_on_own_object():
    class A:
        x = 4

        def __format__(self, spec):
            return f"A[{spec}]"

    return "{:q}".format(A()), "{0.x}".format(A()), format(A(), "z")


def case_own_format_method():
    class T:
        def format(self, a, b=2):
            return "own", a, b

        def register(self, n):
            return ("registered", n)

    t = T()
    f = t.format
    return t.format(1), f(3, b=4), getattr(t, "format")(5), t.register(6)


def case_match():
    def f(x):
        match x:
            case 0 | 1:
                return "small"
            case "a":
                return "letter"
            case [1, *rest] if rest:
                return ("list", rest)
            case (a, b):
                return ("pair", a, b)
            case None | True:
                return "singleton"
            case math.pi:
                return "pi"
            case -2:
                return "negative"
            case [] as empty:
                return ("empty", empty)
            case other:
                return ("other", other)

    return [f(x) for x in (0, 1, "a", [1, 2, 3], [1], (5, 6), None, True, math.pi, -2, [], {"k": 1}, 2.5)]


def case_match_falls_through():
    x = 5
    match x:
        case 4:
            x = "four"
    return x


def case_loops():
    out = []
    for i, (a, b) in enumerate(zip("ab", "cd", strict=True)):
        if i == 5:
            break
    else:
        out.append("no break")
    while True:
        break
    else:
        out.append("never")
    n = 3
    while n:
        n -= 1
    else:
        out.append("while else")
    for out_index in range(3):
        pass
    return out, i, a, b, out_index


def case_collections():
    Point = namedtuple("Point", ["x", "y"], defaults=[0])
    p = Point(1)
    dd = defaultdict(list)
    dd["a"].append(1)
    dq = deque([1, 2], maxlen=2)
    dq.append(3)
    return p, p._replace(x=4), p._asdict(), p._fields, dd, dq, Counter("aab").most_common(1), Point._make([8, 9]), p.x


def case_itertools():
    return (list(itertools.chain([1], [2])), list(itertools.islice(itertools.count(3), 2)), list(itertools.product("ab", repeat=2))[1],
            [(k, list(g)) for k, g in itertools.groupby("aab")], list(map(lambda x: x + 1, [1])), list(filter(None, [0, 1])))


def case_builtins():
    return (abs(-1), all([]), any([1]), bin(5), chr(97), divmod(7, 2), hex(255), id(CONSTANT) == id(CONSTANT), max("ab"), min(3, 1),
            oct(8), ord("a"), pow(2, 5, 7), round(2.567, 1), sorted("ba", reverse=True), sum([1], 2), tuple("a"), frozenset([1]),
            repr("x"), ascii("é"), callable(len), complex(1, 2), bytes(2), bytearray(b"a"), slice(1), range(3), reversed([1]) is None,
            isinstance(3, int), issubclass(bool, int), hash("a") == hash("a"), iter([1]) is None, len([1]), print("x", end="!\n"), int("3"))


def case_sort():
    data = [("b", 2), ("a", 2), ("c", 1)]
    data.sort(key=lambda t: (t[1], t[0]))
    return data, sorted(data, key=lambda t: t[0], reverse=True)


def case_strings():
    return "a,b".split(","), " x ".strip(), "abc".upper(), "x".join("ab"), b"\xe9".decode("latin-1"), "é".encode(), "aXb".partition("X")


def case_regex():
    m = re.match(r"(?P<a>\d+)-(\d+)", "12-34")
    return m.group("a"), m.groups(), re.sub(r"\d", lambda k: str(int(k.group()) + 1), "1a2"), re.findall("a|b", "cab"), m.span()


def case_conditional_expression():
    return (1 if counter < 0 else 2), (None or "d"), ("" and 1), [x if x else -1 for x in (0, 1)]


def case_lambda_defaults():
    f = lambda *a, k=1, **kw: (a, k, kw)  # noqa: E731
    return f(1, 2, k=3, z=4), (lambda: (yield))().__class__.__name__


def case_mutable_default():
    def f(x, acc=[]):  # noqa: B006
        acc.append(x)
        return acc

    f(1)
    return f(2)


def case_function_attributes():
    def f():
        return f.count

    f.count = 3
    return f(), hasattr(f, "count"), f.__name__, f.__doc__


def case_module_names():
    return __name__, _private, bump.__module__


def case_type_of():
    return type(1).__name__, type("a") is str, type(None).__name__, type([]) == list, [type(x) for x in (1, "a", None)]


def case_dict_order_and_merge():
    d = dict(a=1) | {"b": 2}
    d.setdefault("c", []).append(1)
    d.update({"z": 0})
    return d, d.pop("a"), list(d), d.get("nope", 5), {**d}, dict.fromkeys("ab", 0), d.popitem()


def case_big_int():
    return 2**100, 0x1F, 1_000, 0b11, 1e3, 3j, -7 // 2, -7 % 3, 7 / 2


def case_nested_functions_and_defaults():
    x = 10

    def a(y=x):
        def b(z=y):
            return x + y + z

        return b

    x = 20
    return a()()


def case_iterator_class():
    class Up:
        def __init__(self, n):
            self.i, self.n = 0, n

        def __iter__(self):
            return self

        def __next__(self):
            if self.i >= self.n:
                raise StopIteration
            self.i += 1
            return self.i

    return list(Up(3)), sum(Up(4)), 2 in Up(3), [*Up(2)]


def case_star_subscript():
    class A:
        def __getitem__(self, k):
            return k

    return A()[*[1, 2], 3], A()[1:2, ::3]
