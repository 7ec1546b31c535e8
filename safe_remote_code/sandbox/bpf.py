"""A small assembler for classic BPF, as far as a seccomp filter needs it.

Guarantee: a program that assembles has every label once, jumps forward only, and fits the kernel's limit.

Rules: conditional jumps of classic BPF reach 255 instructions; here each is one that skips at most one instruction,
followed by an unconditional jump, which reaches everywhere.

Sources: UAPI `linux/bpf_common.h`, `linux/filter.h` (struct sock_filter), `linux/seccomp.h` (struct seccomp_data).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final, final

_LOAD_WORD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP: Final = 0x05  # BPF_JMP | BPF_JA
_JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_GREATER_OR_EQUAL: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_MAX_INSTRUCTIONS: Final = 4096  # BPF_MAXINSNS
_INSTRUCTION: Final = struct.Struct("=HBBI")
#: struct seccomp_data: nr, arch, instruction pointer, six arguments of 64 bits.
NUMBER: Final = 0
ARCHITECTURE: Final = 4
_ARGUMENTS: Final = 16
_ALL_BITS: Final = 0xFFFFFFFF


def argument_offset(index: int) -> int:
    """Where the low 32 bits of argument `index` lie (little-endian)."""
    return _ARGUMENTS + 8 * index


@final
@dataclass(frozen=True, slots=True)
class _Instruction:
    code: int
    value: int = 0
    if_true: int = 0
    if_false: int = 0
    target: str = ""


@final
@dataclass(slots=True)
class Program:
    """Instructions in order; `assemble` makes the bytes of an array of struct sock_filter."""

    _items: list[_Instruction] = field(default_factory=list)
    _labels: dict[str, int] = field(default_factory=dict)

    def label(self, name: str) -> None:
        """Name the next instruction."""
        if name in self._labels:
            raise ValueError(f"label {name} is set twice")
        self._labels[name] = len(self._items)

    def load(self, offset: int, mask: int = _ALL_BITS) -> None:
        """Load the word at `offset` of struct seccomp_data, and keep the bits of `mask`."""
        self._items.append(_Instruction(_LOAD_WORD, offset))
        if mask != _ALL_BITS:
            self._items.append(_Instruction(_AND, mask))

    def jump(self, target: str) -> None:
        """Go on at `target`."""
        self._items.append(_Instruction(_JUMP, target=target))

    def jump_if_equal(self, value: int, target: str) -> None:
        """Go on at `target` if the loaded word is `value`."""
        self._items.append(_Instruction(_JUMP_EQUAL, value, if_false=1))
        self.jump(target)

    def jump_if_not_below(self, value: int, target: str) -> None:
        """Go on at `target` if the loaded word is `value` or more (unsigned)."""
        self._items.append(_Instruction(_JUMP_GREATER_OR_EQUAL, value, if_false=1))
        self.jump(target)

    def answer(self, action: int) -> None:
        """End with a SECCOMP_RET_ value."""
        self._items.append(_Instruction(_RETURN, action))

    def __len__(self) -> int:
        return len(self._items)

    def assemble(self) -> bytes:
        """The program as the kernel reads it.

        Raises:
            ValueError: a label is missing or lies behind, or the program is too long.
        """
        if not self._items or len(self._items) > _MAX_INSTRUCTIONS:
            raise ValueError(f"a filter has 1 to {_MAX_INSTRUCTIONS} instructions, not {len(self._items)}")
        return b"".join(self._encoded(place, item) for place, item in enumerate(self._items))

    def _encoded(self, place: int, item: _Instruction) -> bytes:
        value = item.value
        if item.target:
            value = self._labels.get(item.target, -1) - place - 1
            if value < 0:
                raise ValueError(f"label {item.target} is not ahead")
        return _INSTRUCTION.pack(item.code, item.if_true, item.if_false, value)
