"""`python -m benchmarks`: what safe_remote_code costs, against transformers alone, both sides in the same run.

Every name is a kind of measurement and a model, `forward/decoder`; `ratio` is ours over native, 1.0 is no cost.

One process for each sample:

`load-fresh`          `get_class_from_dynamic_module` for the configuration and the model class, after
                      `import torch, transformers`: what the first `from_pretrained` of a process waits for
`load-fresh-process`  the same process, from start to exit
`load-imported`       as `load-fresh`, when what transformers imports for a model class is there already

Single calls in turn, in one process:

`load-repeated`       both classes again
`forward`             one forward without gradient
`generate`            one greedy `generate`
`compile`             one forward of `torch.compile(fullgraph=True)`, warm

Fresh processes have a warm cache: each side ran once before, untimed. Where CUDA is available, `forward`, `generate`
and `compile` are measured there too, as `forward-cuda` and so on. Sides alternate as ABBA, so that drift of the
machine falls on both; `native` and `ours` are medians in seconds, `ratio` is their quotient.
"""
