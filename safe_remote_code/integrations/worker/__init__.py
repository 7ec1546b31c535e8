"""Models, tokenizers and processors that live in a worker: proxies here, the service there.

`proxy`, `models`, `configs`, `pool`, `saving` and `download` are the parent's side; `service` and `__main__` the
child's; `values` says for both how tensors, outputs, configurations and handles cross.
"""
