"""How a person starts this program, for the commands that are meant to be copied."""

import os
import shutil
import sys
from pathlib import Path


def program() -> str:
    """Give what stands before a command: ``python -m app`` where that is this Python, else the path to it."""
    interpreter = Path(sys.executable)
    found = shutil.which("python")
    if found is not None and Path(found).parent == interpreter.parent:
        return "python -m app"
    here = Path.cwd()
    return f"{os.path.relpath(interpreter, here) if interpreter.is_relative_to(here) else interpreter} -m app"
