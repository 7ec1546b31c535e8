"""`collector.paused`: what it leaves of the collector's state, and of what it was given to hold."""

import gc
import weakref

import pytest

from safe_remote_code.collector import _MANY, paused


class _Node:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def enabled():
    was = gc.isenabled()
    gc.enable()
    yield
    gc.unfreeze()
    gc.enable() if was else gc.disable()


def test_no_collection_inside_and_one_possible_after():
    with paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_disabled_collector_stays_disabled():
    gc.disable()
    with paused():
        pass
    assert not gc.isenabled()


def test_an_error_inside_lets_the_collector_go():
    with pytest.raises(ValueError, match="inside"), paused():
        raise ValueError("inside")
    assert gc.isenabled()


def test_what_a_large_load_leaves_is_taken_for_old_and_still_collected():
    gc.collect()
    with paused():
        kept = [[] for _ in range(_MANY + 1000)]
        cycle = weakref.ref(_Node())
    assert len(gc.get_objects(generation=0)) < 1000
    assert len(kept) and cycle() is not None
    gc.collect()
    assert cycle() is None
    assert gc.get_freeze_count() < 1000  # Python 3.12 puts some hundreds there itself


def test_a_small_load_leaves_the_generations_as_they_were():
    gc.collect()
    with paused():
        kept = [[] for _ in range(100)]
    assert any(item is kept[0] for item in gc.get_objects(generation=0))


def test_a_program_that_froze_its_objects_keeps_them_frozen():
    gc.collect()
    gc.freeze()
    frozen = gc.get_freeze_count()
    with paused():
        kept = [[] for _ in range(_MANY + 1000)]
    assert gc.get_freeze_count() >= frozen - 100  # some of what was frozen may have died meanwhile
    assert len(kept)
