"""The OpenAPI document and the page that shows it, without a byte from anywhere else."""

from importlib.resources import files

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse, JSONResponse

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "frame-ancestors 'none'"
)


@router.get("/openapi.json")
async def openapi_document(request: Request) -> Response:
    """Give the machine-readable description of this API."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def docs_page() -> Response:
    """Show the description to people, and let them try it."""
    page = files("app.api").joinpath("docs.html").read_text(encoding="utf-8")
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})
