"""Infinity with its torch engine and its own dynamic batching: python infinity_server.py FOLDER PORT."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    model = ["--model-id", sys.argv[1], "--served-model-name", "bench", "--engine", "torch", "--device", "cpu"]
    where = ["--dtype", "float32", "--no-bettertransformer", "--host", "127.0.0.1", "--port", sys.argv[2]]
    os.environ |= {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    program = str(Path(sys.executable).with_name("infinity_emb"))
    os.execv(program, [program, "v2", *model, *where])
