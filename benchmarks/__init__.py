"""`python -m benchmarks`: what safe_remote_code costs, against transformers alone, both sides in the same run.

Every name is a kind of measurement and a model, `forward/decoder`; `ratio` is ours over native, 1.0 is no cost.

| kind | what is timed | how it is repeated |
|---|---|---|
| `load-fresh` | `get_class_from_dynamic_module` for configuration and model class, after `import torch, transformers` | one process a sample |
| `load-fresh-process` | the same process, from start to exit | with `load-fresh` |
| `load-imported` | as `load-fresh`, when all of transformers that the model needs was imported before | one process a sample |
| `load-repeated` | both classes again, in a process that has them | single loads in turn |
| `forward` | one forward without gradient | single calls in turn, one process |
| `generate` | one greedy `generate` | single calls in turn, one process |
| `compile` | a forward of `torch.compile(fullgraph=True)`, warm | single calls in turn, one process |

Fresh processes have a warm cache: each side ran once before, untimed. Where CUDA is available, `forward`, `generate` and
`compile` are measured there too, as `forward-cuda` and so on. Sides alternate as ABBA, so that drift of the machine falls
on both; `native` and `ours` are medians in seconds, `ratio` is their quotient.
"""
