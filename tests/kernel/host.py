"""The process that a probe attacks: it makes a stage, starts the prober below it, and waits.

    python host.py PROBE CONFINEMENT FOLDER [UID]

CONFINEMENT is `free`, or a key of `CONFINEMENTS`. The prober prints one line of JSON: {"got": …} if it worked,
{"refused": errno name} if not, {"not_here": reason}. The exit status of this process shows what became of it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable

from kernel.probes import PROBES, NotHere, Stage
from safe_remote_code.sandbox import Confinement, apply, interpreter_paths, program_paths, standard_devices

SECRET = "decoy-secret"
_MEMORY = ctypes.create_string_buffer(b"marker")


_READABLE = interpreter_paths()  # as long as this user may look at them
_EXECUTABLE = program_paths(sys.executable)


def worker(stage: Stage) -> Confinement:
    """As narrow as it gets: no processes, no programs, no sockets."""
    return Confinement(read=_READABLE, write=(stage.inside, *standard_devices()), keep_descriptors=(), processes=10**6)


def launcher(stage: Stage) -> Confinement:
    """What a program with processes and two granted ports gets."""
    return Confinement(
        read=(*_READABLE, "/proc", "/bin/true", "/usr/bin/true"),
        write=(stage.inside, *standard_devices()),
        execute=_EXECUTABLE,
        connect=(stage.granted_tcp,),
        keep_descriptors=(),
        allow_exec=True,
        allow_fork=True,
    )


CONFINEMENTS: dict[str, Callable[[Stage], Confinement]] = {"worker": worker, "launcher": launcher}


def _serve(server: socket.socket) -> None:
    while True:
        connection, _ = server.accept()
        connection.sendall(b"hello from outside")
        connection.close()


def _listening(server: socket.socket, address: object) -> socket.socket:
    server.bind(address)
    server.listen(5)
    threading.Thread(target=_serve, args=(server,), daemon=True).start()
    return server


def make_stage(folder: str) -> Stage:
    outside, inside = f"{folder}/outside", f"{folder}/inside"
    for path in (outside, inside):
        os.mkdir(path)
    with open(f"{outside}/secret", "w") as stream:
        stream.write(SECRET)
    try:
        os.setxattr(f"{outside}/secret", "user.known", SECRET.encode())
    except OSError:
        pass
    abstract = f"safe-remote-code-{os.getpid()}"
    _listening(socket.socket(socket.AF_UNIX), f"{outside}/socket")
    _listening(socket.socket(socket.AF_UNIX), "\0" + abstract)
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(f"{outside}/datagram")
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    os.unlink(f"{outside}/datagram")
    datagram.bind(f"{outside}/datagram")
    _KEPT.append(datagram)
    ports = [_listening(socket.socket(), ("127.0.0.1", 0)).getsockname()[1] for _ in range(2)]
    return Stage(
        outside=outside, inside=inside, parent=os.getpid(), tcp=ports[0], granted_tcp=ports[1], abstract=abstract,
        inherited=os.open(f"{outside}/secret", os.O_RDONLY), inherited_folder=os.open(outside, os.O_RDONLY),
        marker=ctypes.addressof(_MEMORY),
    )  # fmt: skip


_KEPT: list[socket.socket] = []


def probe(name: str, confinement: str, stage: Stage) -> dict[str, object]:
    if confinement != "free":
        os.environ["CONFINED"] = "1"
        apply(CONFINEMENTS[confinement](stage))
    try:
        got = PROBES[name](stage)
    except NotHere as reason:
        return {"not_here": str(reason)}
    except OSError as error:
        return {"refused": errno.errorcode.get(error.errno or 0, str(error))}
    return {"got": got} if got else {"refused": "no effect"}


def main() -> None:
    name, confinement, folder, *user = sys.argv[1:]
    if user:
        os.setgroups([])
        os.setresgid(int(user[0]), int(user[0]), int(user[0]))
        os.setresuid(int(user[0]), int(user[0]), int(user[0]))
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # dumpable again, as any process of that user is
    os.environ["DECOY"] = SECRET
    # The environment that /proc shows is the one of exec; a child made by fork shares the parent's.
    stage = make_stage(folder)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        signal.alarm(30)
        try:
            sys.stdout.write(json.dumps(probe(name, confinement, stage)) + "\n")
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        print(json.dumps({"refused": signal.Signals(-code).name}))


if __name__ == "__main__":
    main()
