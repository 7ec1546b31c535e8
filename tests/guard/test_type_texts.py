"""Text of types that TorchScript reads: evaluated as torch does, and nothing but types handed to anybody."""

from __future__ import annotations

import logging
import typing
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("RestrictedPython")

import torch

from guard.written import written
from safe_remote_code.errors import GuardViolationError
from safe_remote_code.guard.armour import prepare
from safe_remote_code.guard.armour.type_texts import evaluated


class Taker:
    """Hands out whatever stands between its brackets."""

    def __class_getitem__(cls, item: object) -> object:
        return item


class _Names(dict):  # type: ignore[type-arg]  # what `torch` looks up: the module, then typing, then the real builtins
    def __missing__(self, name: str) -> object:
        for place in (typing, __builtins__):
            found = place.get(name) if isinstance(place, dict) else getattr(place, name, None)
            if found is not None:
                return found
        raise NameError(name)


NAMES = _Names(Taker=Taker, torch=torch, LOGGER=logging.getLogger("transformers"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("List[torch.Tensor]", "typing.List[torch.Tensor]"),
        ("Optional[int]", "typing.Optional[int]"),
        ("(int, Dict[str, Tuple[int, float]])", "(<class 'int'>, typing.Dict[str, typing.Tuple[int, float]])"),
        ("int | None", "int | None"),
        ("Callable[[int], str]", "typing.Callable[[int], str]"),
        ("Any", "typing.Any"),
        ("Taker[int]", "<class 'int'>"),
    ],
)  # fmt: skip
def test_text_that_names_types_is_what_it_says(text: str, shown: str) -> None:
    assert str(evaluated(text, NAMES.__getitem__)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Taker[getattr]", "Taker[ｅｖａｌ]", "Taker[open]", "Taker[help]", "Taker[type]", "Taker[map]", "Taker[super]",
        "Taker[BaseException]", "Taker[__builtins__]", "Taker[__import__]", "Taker[sys]", "Taker[ForwardRef]",
        "Taker[get_type_hints]", "Taker[functools]", "Taker[LOGGER.manager]", "Taker[LOGGER.__init__]",
        "Taker[LOGGER.__class__]", "Taker[lambda: 1]", "Taker[[x for x in (1,)]]", "len('')", "Taker[f'{LOGGER}']",
        "LOGGER == open", "Taker[(x := open)]",
    ],
)  # fmt: skip
def test_text_that_names_more_is_refused(text: str) -> None:
    with pytest.raises(GuardViolationError):
        evaluated(text, NAMES.__getitem__)


def test_what_torch_reads_goes_this_way() -> None:
    """Whoever renames these in torch is to see it here."""
    prepare()
    for function in (
        torch.jit.annotations._eval_no_call, torch._jit_internal.createResolutionCallbackFromEnv,
        torch.jit.frontend.build_ignore_context_manager,
    ):  # fmt: skip
        assert function.__module__ == "safe_remote_code.guard.armour.type_texts"


SCRIPTED = '''
    from typing import Dict, List, NamedTuple, Optional, Tuple

    import torch


    class Pair(NamedTuple):
        first: torch.Tensor
        count: int


    @torch.jit.script
    def commented(x, sizes):
        # type: (torch.Tensor, List[int]) -> Tuple[torch.Tensor, Optional[int]]
        found = torch.jit.annotate(List[torch.Tensor], [])
        for size in sizes:
            found.append(x * size)
        last: Optional[int] = None
        table: Dict[str, List[int]] = {"sizes": sizes}
        if len(table["sizes"]) > 1:
            last = sizes[-1]
        return torch.stack(found), last


    @torch.jit.script
    def paired(x: torch.Tensor, y: "Optional[torch.Tensor]" = None) -> Pair:
        return Pair(x if y is None else x + y, 3)
    '''


def test_scripted_functions_of_remote_code_are_as_without_the_guard(tmp_path: Path) -> None:
    module = written(tmp_path, SCRIPTED)
    stacked, last = module.commented(torch.ones(2), [1, 2])
    assert stacked.tolist() == [[1.0, 1.0], [2.0, 2.0]]
    assert last == 2
    pair = module.paired(torch.ones(2), torch.ones(2))
    assert pair.first.tolist() == [2.0, 2.0]
    assert pair.count == 3
