"""What the two ends of the broker call things; so light that every process may know it."""

KEY_PREFIX = "ts:"
"""Of everything that we have at the broker: what an ACL can be limited to."""
TRAIN_TASK = "train"
DEFAULT_QUEUE = "default"
GPU_QUEUE = "gpu"
CPU_QUEUE = "cpu"
QUEUES = (DEFAULT_QUEUE, GPU_QUEUE, CPU_QUEUE)
"""A worker takes the default one and that of its kind, unless it is told otherwise."""
