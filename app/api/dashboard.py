"""The dashboard: one empty page for every address under /ui, and the files that fill it; public, like /docs."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from app.api.assets import Asset, bundle
from app.errors import NotFound

router = APIRouter(include_in_schema=False)

HOME = "/ui/jobs"
PAGES = frozenset({"jobs", "new", "compare", "datasets", "models", "try", "system", "keys", "sign-in"})
"""First parts of the addresses under /ui that have a page; app/web/pages.js says what is on it."""
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_FIRST = "no-cache"
# Scripts and styles from here alone, none in the page, no form that is sent, nothing of any other host.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/")
@router.get("/ui")
async def home() -> Response:
    """Lead to the list of jobs."""
    return RedirectResponse(HOME, status_code=302)


@router.get("/ui/assets/{version}/{name:path}")
async def asset(version: str, name: Annotated[str, Path(max_length=200)], request: Request) -> Response:
    """Give a file that pages need; for ever under the version that the page names, else only after asking again."""
    assets = await run_in_threadpool(bundle)
    found = assets.files.get(name)
    if found is None:
        raise NotFound("There is no such file.", code="route-not-found", remedy="Load the page again.")
    return _answer(found, request, _FOR_EVER if version == assets.version else _ASK_FIRST)


@router.get("/ui/{page:path}")
async def shell(page: str, request: Request) -> Response:
    """Give the page that its scripts fill; 404 with the same page where there is none, so that people can go on."""
    assets = await run_in_threadpool(bundle)
    known = page.partition("/")[0] in PAGES
    return _answer(assets.shell, request, _ASK_FIRST, status=200 if known else 404)


def _answer(file: Asset, request: Request, caching: str, status: int = 200) -> Response:
    headers = {"Cache-Control": caching, "ETag": file.etag, "Content-Security-Policy": _POLICY}
    if status == 200 and request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, status, headers, media_type=file.media_type)
