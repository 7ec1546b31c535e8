import concurrent.futures
import copy
import json
import logging
import math
import os
import queue
import random
import sys
import threading
import time
import types
import warnings
from collections import OrderedDict
from pathlib import Path

logger = logging.getLogger(__name__)


class Tree:
    def __init__(self, v, kids=()):
        self.v, self.kids = v, list(kids)

    def __eq__(self, o):
        return self.v == o.v and self.kids == o.kids

    def __deepcopy__(self, memo):
        return Tree(self.v + 1, copy.deepcopy(self.kids, memo))


class Bare:
    def __init__(self):
        self.a, self.b = [1], {"k": [2]}


class Copied:
    def __init__(self, n):
        self.n = n

    def __copy__(self):
        return Copied(self.n + 100)


class Stateful:
    def __init__(self):
        self.keep, self.drop = 1, 2

    def __getstate__(self):
        state = self.__dict__.copy()
        state["drop"] = None
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.restored = True


def case_copy():
    t = copy.deepcopy(Tree(1, [Tree(2)]))
    b = Bare()
    c = copy.deepcopy(b)
    d = copy.copy(b)
    return t.v, t.kids[0].v, c.a == b.a, c.a is b.a, d.a is b.a, copy.copy(Copied(1)).n, c.b


def case_stateful():
    s = copy.deepcopy(Stateful())
    return s.keep, s.drop, s.restored


def case_json():
    class Enc(json.JSONEncoder):
        def default(self, o):
            return {"set": sorted(o)} if isinstance(o, set) else super().default(o)

    return json.dumps({"a": {1, 2}}, cls=Enc), json.loads('{"b": [1, 2.5, null]}'), json.dumps([1], indent=2)


def case_json_error():
    return json.loads("{")


def case_math():
    return math.sqrt(2), math.pi, math.inf, math.isnan(math.nan), math.prod([2, 3]), math.ceil(1.2)


def case_random():
    r = random.Random(3)
    random.seed(4)
    return r.random(), r.randint(1, 9), random.random(), r.sample(range(10), 3)


def case_threads():
    out, lock, event, q = [], threading.Lock(), threading.Event(), queue.Queue()

    def work(n):
        event.wait()
        with lock:
            out.append(n * n)
        q.put(n)

    class T(threading.Thread):
        def __init__(self):
            super().__init__(daemon=True)
            self.result = None

        def run(self):
            self.result = "ran"

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for t in threads:
        t.start()
    event.set()
    for t in threads:
        t.join()
    own = T()
    own.start()
    own.join()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        squares = list(pool.map(lambda x: x * x, range(4)))
        future = pool.submit(pow, 2, 5)
    local = threading.local()
    local.x = 1
    return sorted(out), sorted(q.get() for _ in range(3)), own.result, squares, future.result(), local.x


def case_thread_error():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(int, "x").result()


def case_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("quiet", stacklevel=2)
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        warnings.warn("loud", UserWarning)
    return [str(w.message) for w in log]


def case_logging():
    logger.debug("x %s", 1)
    return logger.name == __name__, logging.INFO, logger.isEnabledFor(logging.CRITICAL)


def case_paths():
    p = os.path.join("a", "b.txt")
    q = Path("a") / "b" / "c.tar.gz"
    return (p, os.path.splitext(p), os.path.basename(p), os.sep, str(q), q.name, q.suffix, q.parent.name, q.stem, q.parts,
            os.path.dirname(__file__) == os.path.split(__file__)[0], str(q.with_suffix(".x")), q.is_absolute())


def case_files():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "main.py"), encoding="utf-8") as f:
        first = f.readline()
        rest = f.read()
    with open(os.path.join(here, "main.py"), "rb") as f:
        raw = f.read(6)
    lines = Path(here, "main.py").read_text(encoding="utf-8").splitlines()
    return first, len(rest), raw, lines[0], os.path.isfile(os.path.join(here, "main.py")), os.path.exists(os.path.join(here, "nope"))


def case_file_missing():
    open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "nope.txt"))


def case_files_lines():
    with open(__file__) as f:
        return [line.strip() for line in f][0], sum(1 for _ in open(__file__)) > 5


def case_environment():
    os.environ["MY_OWN"] = "1"
    return (os.environ.get("NOPE_NOPE"), os.getenv("NOPE_NOPE", "d"), "NOPE_NOPE" in os.environ, os.environ["MY_OWN"],
            os.environ.pop("MY_OWN"), os.environ.get("MY_OWN", 4), os.environ.setdefault("NOPE_TWO", "q"))


def case_environment_missing():
    return os.environ["NOPE_NOPE"]


def case_sys():
    return sys.version_info >= (3, 8), sys.maxsize > 1, sys.platform == "linux", "math" in sys.modules, "nope" in sys.modules, sys.byteorder


def case_print():
    print("to stdout", file=sys.stdout)
    print("a", "b", sep="-", end="|", flush=True)
    sys.stdout.write("w\n")
    sys.stdout.flush()


def case_time():
    start = time.perf_counter()
    return time.perf_counter() >= start, time.time() > 0, time.strftime("%Y", time.gmtime(0))


def case_types():
    ns = types.SimpleNamespace(a=1)
    ns.b = 2
    m = types.MethodType(lambda self, x: (self, x), 5)
    return ns, ns.a + ns.b, m(6), isinstance(case_types, types.FunctionType), isinstance(len, types.BuiltinFunctionType), isinstance(case_types, types.LambdaType)


def case_ordered_dict():
    d = OrderedDict(a=1, b=2)
    d.move_to_end("a")
    return d, d.popitem(last=False)


def case_modules():
    import collections.abc as cabc
    import os.path as osp
    import xml.etree  # noqa: F401

    from os import path

    return osp.join("a", "b"), path.basename("x/y"), cabc.Mapping.__name__, math.__name__, os.path is path


def case_setattr_on_instances():
    class A:
        pass

    a = A()
    for name in ("x", "forward", "dump"):
        setattr(a, name, lambda: name)
    return a.x(), a.forward(), a.dump(), sorted(a.__dict__)


def case_callbacks():
    out = []
    sorted([3, 1], key=lambda x: out.append(x) or x)
    list(map(out.append, "ab"))
    return out, max([1, -5], key=abs)
