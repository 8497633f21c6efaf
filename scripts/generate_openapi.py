"""Write docs/openapi.json: the document that a running service answers at /openapi.json.

    python scripts/generate_openapi.py [--check]

With --check nothing is written: the exit status is 1 when the file is not what it would be.
"""

import json
import sys
from pathlib import Path

from fastapi import FastAPI

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.main import create_app  # noqa: E402  # only now is it known where app is
from app.settings import Settings  # noqa: E402

PAGE = ROOT / "docs" / "openapi.json"


def main() -> None:
    text = document(create_app(Settings(_env_file=None)))  # type: ignore[call-arg]
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return
    if "--check" in sys.argv[1:]:
        sys.exit("docs/openapi.json is not current; run python scripts/generate_openapi.py")
    PAGE.write_text(text, encoding="utf-8")
    print("wrote docs/openapi.json")


def document(app: FastAPI) -> str:
    """Give the text of the file."""
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
