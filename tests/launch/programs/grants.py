"""Tries paths, ports and programs given as JSON, and prints what came of each."""

import json
import os
import socket
import subprocess
import sys


def attempt(kind, what):
    try:
        if kind == "read":
            return open(what).read()
        if kind == "write":
            with open(what, "w") as stream:
                stream.write("x")
            return "written"
        if kind == "list":
            return sorted(os.listdir(what))
        if kind == "connect":
            socket.create_connection(("127.0.0.1", what), 5).close()
            return "connected"
        if kind == "run":
            return subprocess.run(what, capture_output=True, text=True).stdout
        if kind == "variable":
            return os.environ.get(what)
        if kind == "copy":
            import shutil

            return os.path.basename(shutil.copy2(*what))
        raise ValueError(kind)
    except OSError as error:
        return type(error).__name__


print(json.dumps([attempt(*item) for item in json.loads(sys.argv[1])]))
