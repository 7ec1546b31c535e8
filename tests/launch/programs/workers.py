"""Starts workers of every kind and prints what each says of itself.

    workers.py pool|loader fork|spawn|forkserver
"""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from whereabouts import report


class Whereabouts:
    """A data set whose items are what the worker says: guard, seccomp, no secret."""

    def __len__(self):
        return 8

    def __getitem__(self, place):
        import torch

        found = report()
        return torch.tensor([found["guard"], found["seccomp"], found["secret"] is None], dtype=torch.uint8)


def main():
    kind, method = sys.argv[1:]
    if kind == "pool":
        with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
            found = list(pool.map(report, [True] * 4))
    else:
        from torch.utils.data import DataLoader

        loader = DataLoader(Whereabouts(), batch_size=2, num_workers=2, multiprocessing_context=method)
        rows = [row for batch in loader for row in batch.tolist()]
        found = [{"guard": bool(row[0]), "seccomp": bool(row[1]), "secret": None if row[2] else "read"} for row in rows]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
