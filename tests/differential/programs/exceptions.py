import contextlib
import traceback
from typing import Optional, Type


class Manager:
    def __enter__(self):
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace) -> bool:
        return isinstance(value, ValueError)


def case_base_exception_cleanup():
    try:
        try:
            raise ValueError("x")
        except BaseException:
            print("cleanup")
            raise
    except ValueError as error:
        return repr(error)


def case_interrupts_are_not_raised():
    try:
        raise ValueError("x")
    except (KeyboardInterrupt, SystemExit):
        raise
    except ValueError:
        return "value"


def case_annotation():
    with Manager():
        raise ValueError
    return "swallowed"


def case_generator_closes():
    def gen():
        try:
            yield 1
        finally:
            print("closed")

    g = gen()
    next(g)
    del g
    return "done"


def case_chain():
    try:
        try:
            raise KeyError("a")
        except KeyError:
            raise ValueError("b")
    except ValueError as error:
        return error.args


def case_finally_overrides():
    def f():
        try:
            raise ValueError
        finally:
            return 1  # noqa: B012

    return f()


def case_nested_finally_order():
    out = []

    def f():
        for i in range(3):
            try:
                if i == 1:
                    continue
                if i == 2:
                    break
                out.append(i)
            finally:
                out.append(("f", i))
        return out

    return f()


def case_raise_class():
    raise NotImplementedError


def case_raise_nothing():
    raise


def case_raise_non_exception():
    raise 5  # noqa: B016


def case_raise_none_from():
    try:
        raise ValueError("v") from None
    except ValueError as e:
        return str(e), e.args


def case_attribute_error_text():
    class A:
        pass

    A().wrong_attribute


def case_stack_in_context():
    class E(Exception):
        def __str__(self):
            return "own text"

    with contextlib.suppress(E):
        raise E
    raise E("args")


def case_exception_with_fields():
    class E(RuntimeError):
        def __init__(self, *, n):
            self.n = n

    try:
        raise E(n=4)
    except E as e:
        return e.n, str(e), repr(e)


def case_os_error():
    try:
        raise FileNotFoundError(2, "No such file", "x.txt")
    except OSError as e:
        return e.errno, e.strerror, e.filename, str(e)


def case_stop_iteration_in_generator():
    def g():
        yield 1
        raise StopIteration

    return list(g())


def case_format_exc():
    try:
        int("x")
    except ValueError:
        return traceback.format_exc().splitlines()[-1]


def case_import_error():
    try:
        import no_such_module_at_all
    except ImportError as e:
        return str(e), e.name, type(e).__name__


def case_import_name_error():
    try:
        from math import no_such_name
    except ImportError as e:
        return type(e).__name__


def case_import_attribute():
    import math

    return hasattr(math, "nope"), getattr(math, "nope", 1), math.nope


def case_unicode_error():
    b"\xff".decode("utf-8")


def case_generator_throw_and_return():
    def g():
        while True:
            try:
                x = yield
            except ValueError:
                return "returned"

    it = g()
    next(it)
    try:
        it.throw(ValueError())
    except StopIteration as stop:
        return stop.value
