"""A program for `launching.py`: loads a model as any program would, and prints the median seconds of a forward.

launched.py DIRECTORY AUTO_CLASS COUNT
"""

from __future__ import annotations

import json
import statistics
import sys
import time


def main() -> None:
    """Load, warm up, time single calls."""
    directory, auto_class, count = sys.argv[1:]
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(directory, trust_remote_code=True)
    model = getattr(transformers, auto_class).from_config(config, trust_remote_code=True).eval()
    tokens = torch.arange(4 * 256).reshape(4, 256) % config.vocab_size
    seconds = []
    with torch.no_grad():
        for _ in range(int(count)):
            start = time.perf_counter()
            model(input_ids=tokens)
            seconds.append(time.perf_counter() - start)
    print(json.dumps(statistics.median(seconds[len(seconds) // 10 :])))


if __name__ == "__main__":
    main()
