"""Asks two tasks of Ray what they say of themselves; prints one line of JSON."""

import json

import ray
from whereabouts import report

if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    asked = ray.remote(report)
    print(json.dumps(ray.get([asked.remote() for _ in range(2)])))
    ray.shutdown()
