"""Our loader in the place of transformers': what is replaced, what is refused, what comes back."""
