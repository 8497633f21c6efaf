"""The OpenAPI document and the page that shows it, without a byte from anywhere else."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi_document(request: Request) -> Response:
    """Give the machine-readable description of this API."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def docs_page() -> Response:
    """Show the description to people, and let them try it."""
    page, policy = _page()
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


@router.get("/problems/{code}")
async def problem_page(code: Annotated[str, Path(pattern="^[a-z0-9-]{1,60}$")]) -> Response:
    """Lead from the ``type`` of a problem to the place in the docs that shows it."""
    return RedirectResponse(f"/docs#problem-{code}", status_code=302)


@cache
def _page() -> tuple[str, str]:
    """Give the page in one piece, and the policy that lets its own style and script run and nothing else."""
    folder = files("app.api").joinpath("page")
    page = folder.joinpath("docs.html").read_text(encoding="utf-8")
    hashes = []
    for name in ("docs.css", "docs.js"):
        content = folder.joinpath(name).read_text(encoding="utf-8")
        page = page.replace(f"/* {name} */", content)
        hashes.append("'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'")
    policy = (
        f"default-src 'none'; style-src {hashes[0]}; script-src {hashes[1]}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy
