"""Identity: locks, pins, policies, and the values that carry their claims."""
