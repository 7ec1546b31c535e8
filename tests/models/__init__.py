"""What one does with a model afterwards, native beside guarded."""
