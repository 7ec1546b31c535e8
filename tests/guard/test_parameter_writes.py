"""Functions of libraries that write to what they are given take remote code's own, and refuse what belongs to all."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("torch")

import torch

from safe_remote_code.errors import GuardViolationError
from safe_remote_code.guard.parameter_writes import _written

from .written import written


def test_written_parameters_are_read_from_code() -> None:
    def stores(one, two, *, three):  # type: ignore[no-untyped-def]
        one.name = two
        three.count += 1

    def sets(one, two):  # type: ignore[no-untyped-def]
        setattr(two, "name", one)  # noqa: B010
        del one.name

    def kept(one, two):  # type: ignore[no-untyped-def]
        def inner() -> object:
            return one

        one.name = inner

    def reads(one, two):  # type: ignore[no-untyped-def]
        first = second = one
        two.inner.name = getattr(first, "name", second)

    found = [{name for _, name in _written(function.__code__)} for function in (stores, sets, kept, reads)]
    assert found == [{"one", "three"}, {"one", "two"}, {"one"}, set()]


def test_functions_of_autograd_keep_their_context(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import torch
        from torch.utils.checkpoint import CheckpointFunction, checkpoint

        class Twice(torch.autograd.Function):
            @staticmethod
            @torch.amp.custom_fwd(device_type="cpu")
            def forward(ctx, value):
                ctx.factor = 2
                return value * 2

            @staticmethod
            @torch.amp.custom_bwd(device_type="cpu")
            def backward(ctx, gradient):
                return gradient * ctx.factor

        def gradient():
            value = torch.ones(3, requires_grad=True)
            checkpoint(Twice.apply, value, use_reentrant=True).sum().backward()
            return value.grad

        def marks():
            torch.amp.custom_fwd(lambda *items: None, device_type="cpu")(torch.nn.Bilinear)

        def fills():
            CheckpointFunction.forward(torch.nn.Bilinear, torch.relu, False, torch.zeros(1))
        """,
    )
    assert module.gradient().tolist() == [2.0, 2.0, 2.0]
    for attack in (module.marks, module.fills):
        with pytest.raises(GuardViolationError, match="not this code's own"):
            attack()
    assert "_fwd_used_autocast" not in vars(torch.nn.Bilinear)
