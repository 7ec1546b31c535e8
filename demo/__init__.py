"""`python -m demo`: in a throw-away folder, what trust_remote_code=True lets happen, and what happens with us.

1. transformers alone loads a hostile repository: its code runs at import and at forward.
2. The same repository through safe_remote_code: refused, first because nobody pinned it, then for what it does.
3. A model is pinned, loaded, generates text, is trained, saved and reloaded.
4. One byte of its code is changed: refused.

Each act is a process of its own (`demo.acts`). The exit code is 0 only if every act went as it is told here. Nothing
is read from the network.
"""
