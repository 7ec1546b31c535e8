"""Who reviewed which content, and whether that clears it: the manner of cargo-vet, for model code.

Rules: an audit is of content, by digest, never of a name. What clears needs evidence (a signature where
keys are listed, an end date where a publisher is trusted); what refuses (a violation) needs none and wins.

It does not: look at code, or load it. `verify.trust` says who may sign what is *loaded*; this says what was *read*.
"""
