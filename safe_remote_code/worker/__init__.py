"""The parent's side of a sandboxed worker: what it says, how it listens, how it starts and ends one.

Nothing here imports torch or transformers at import; what the messages mean to them is in
`integrations/worker/`. Nothing that comes from the child is believed before it was checked.
"""
