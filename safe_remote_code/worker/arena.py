"""Memory that parent and worker share: a memory file that the parent makes and seals against resizing.

Rules: it is read and written with `pread` and `pwrite` and never mapped, so that whoever shares it can
neither change bytes between check and use (they are copied once, then judged) nor end the reader with
SIGBUS. The seals (fcntl(2), `F_ADD_SEALS`) keep the child from taking memory without bound through it.
"""

from __future__ import annotations

import fcntl
import os
from typing import Final, final

from ..errors import WorkerProtocolError

_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
#: Linux moves at most 0x7ffff000 bytes in one call (write(2), NOTES).
_STEP_BYTES: Final = 1 << 30
#: The first arena, and the least by which one grows.
SMALLEST_BYTES: Final = 1 << 20
#: A larger one is not kept for the next message.
LARGEST_KEPT_BYTES: Final = 1 << 28


def fitting_bytes(wanted: int) -> int:
    """The size of an arena that holds `wanted` bytes, with room so that it is not outgrown at once."""
    return max(SMALLEST_BYTES, 1 << (wanted - 1).bit_length()) if wanted <= LARGEST_KEPT_BYTES else wanted


@final
class Arena:
    """One memory file of fixed size."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self.descriptor = descriptor
        self.size_bytes = size_bytes

    @classmethod
    def create(cls, size_bytes: int) -> Arena:
        """A new one, zeroed and sealed."""
        descriptor = os.memfd_create("safe-remote-code", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, size_bytes)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, size_bytes)

    def write(self, offset: int, data: memoryview) -> None:
        """Put bytes at `offset`.

        Raises:
            ValueError: they do not fit.
        """
        if offset < 0 or offset + data.nbytes > self.size_bytes:
            raise ValueError("beyond the end of the arena")
        done = 0
        while done < data.nbytes:
            done += os.pwrite(self.descriptor, data[done : done + _STEP_BYTES], offset + done)

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` from `offset`.

        Raises:
            WorkerProtocolError: there are fewer bytes.
        """
        done = 0
        while done < target.nbytes:
            count = os.preadv(self.descriptor, [target[done : done + _STEP_BYTES]], offset + done)
            if not count:
                raise WorkerProtocolError("the arena ends before the blob")
            done += count

    def close(self) -> None:
        """Give the memory back, once the other side has closed it, too."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
