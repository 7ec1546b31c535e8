"""The worker: `python -m safe_remote_code.integrations.worker DESCRIPTOR PARENT`.

In this order, and before anything of torch or of a repository is imported, so with a single thread:
1. die with the parent; 2. hear what is granted; 3. have the kernel confine this process; 4. serve.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import replace

from ...errors import WorkerError
from ...sandbox import PR_SET_PDEATHSIG, apply, prctl
from ...worker.serving import Server
from ...worker.start import Start


def main() -> None:
    """Serve the parent until it closes its end."""
    descriptor, parent = (int(word) for word in sys.argv[1:])
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # 1
    if os.getppid() != parent:  # it died before that
        return
    server = Server(socket.socket(fileno=descriptor))
    try:
        start = Start.read(server.first())  # 2
        status = apply(replace(start.confinement, keep_descriptors=(descriptor,)))  # 3
        from .service import ModelService

        service = ModelService(server, start)
    except Exception as error:
        server.fail(error)
        raise WorkerError("could not start") from error
    server.reply(status.json())
    try:
        server.serve(service)  # 4
    except (EOFError, ConnectionError):
        return


if __name__ == "__main__":
    main()
