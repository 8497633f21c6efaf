"""What the two ends of the broker call things; so light that every process may know it."""

TRAIN_TASK = "train"
DEFAULT_QUEUE = "default"
