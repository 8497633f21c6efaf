"""Which scopes let a key do what: one table of all routes; what is not in it wants ``admin``."""

from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute

from app.schemas.keys import SCOPES, KeyScope

Needed = tuple[KeyScope, ...]
"""Scopes of which a key must have one; none: not even a key is needed."""

_TABLE: dict[Needed, str] = {
    (): """
        GET /healthz
        GET /readyz
        GET /v2/health/live
        GET /v2/health/ready
    """,
    # The caller has got every id here from an answer of its own: 74 of their bits are random.
    ("predict",): """
        POST /predict
        POST /models/{reference}/predict
        POST /models/{reference}
        POST /tei/{reference}/predict
        POST /v2/models/{reference}/infer
        POST /v2/models/{name}/versions/{version}/infer
        POST /batch-predictions
    """,
    ("predict", "read"): """
        GET /v2
        GET /v2/models/{reference}
        GET /v2/models/{reference}/ready
        GET /v2/models/{name}/versions/{version}
        GET /v2/models/{name}/versions/{version}/ready
        GET /tei/{reference}/info
        GET /tei/{reference}/health
        GET /batch-predictions/{batch_id}
        GET /batch-predictions/{batch_id}/events
        GET /batch-predictions/{batch_id}/results
    """,
    ("predict", "write"): """
        POST /batch-predictions/{batch_id}/cancel
        DELETE /batch-predictions/{batch_id}
        POST /predictions/{prediction_id}/feedback
    """,
    ("read",): """
        GET /datasets
        GET /datasets/{dataset_id}
        GET /datasets/{dataset_id}/profile
        GET /datasets/{dataset_id}/rows
        GET /datasets/imports
        GET /datasets/imports/{import_id}
        GET /jobs
        GET /jobs/{job_id}
        GET /jobs/{job_id}/request
        GET /jobs/{job_id}/events
        GET /jobs/{job_id}/metrics
        GET /jobs/{job_id}/report
        GET /jobs/{job_id}/plots/{name}.svg
        GET /jobs/{job_id}/plots/{name}.png
        GET /jobs/{job_id}/logs
        GET /jobs/{job_id}/artifacts
        GET /jobs/{job_id}/artifacts/{name}
        GET /models
        GET /models/{name}
        GET /models/{name}/diff
        GET /models/{name}/predictions
        GET /models/{name}/versions
        GET /models/{name}/versions/{version}
        GET /models/{name}/versions/{version}/live
        GET /models/{name}/versions/{version}/archive
        GET /models/{name}/versions/{version}/card
        GET /models/{name}/versions/{version}/evaluations
        GET /models/{name}/versions/{version}/evaluations/{evaluation_id}
        GET /models/{name}/aliases
        GET /models/{name}/aliases/{alias}
        GET /models/{name}/aliases/{alias}/policy
        POST /models/{name}/aliases/{alias}/check
        GET /models/{name}/aliases/{alias}/history
        GET /models/{name}/aliases/{alias}/traffic
        GET /models/{name}/aliases/{alias}/traffic/report
        GET /predictions/{prediction_id}
        GET /batch-predictions
        GET /serving
        GET /workers
        GET /queues
        GET /metrics
    """,
    ("write",): """
        POST /datasets
        POST /datasets/import
        POST /jobs
        POST /jobs/validate
        POST /jobs/{job_id}/cancel
        POST /jobs/{job_id}/stop
        PUT /models/{name}/aliases/{alias}
        DELETE /models/{name}/aliases/{alias}
        POST /models/{name}/aliases/{alias}/rollback
        PUT /models/{name}/aliases/{alias}/policy
        DELETE /models/{name}/aliases/{alias}/policy
        PUT /models/{name}/aliases/{alias}/traffic
        DELETE /models/{name}/aliases/{alias}/traffic
        POST /models/{name}/versions/{version}/evaluations
    """,
    # Keys, and what nobody can bring back.
    ("admin",): """
        GET /keys
        POST /keys
        DELETE /keys/{key_id}
        DELETE /datasets/{dataset_id}
        DELETE /models/{name}/versions/{version}
        POST /models/{name}/prune
    """,
    SCOPES: """
        GET /keys/current
    """,
}
NEEDED: dict[str, Needed] = {
    route.strip(): needed for needed, routes in _TABLE.items() for route in routes.strip().splitlines()
}
"""What each route wants, by method and path."""
PUBLIC = frozenset(route.partition(" ")[2] for route, needed in NEEDED.items() if not needed)
"""Paths that want no key."""


def wanted(method: str, path: str) -> Needed:
    """Give what a route wants by its path as the documentation writes it."""
    return NEEDED.get(f"{method} {path}", ("admin",))


class Rulebook:
    """Tells what a request wants before its route is looked up, in the order in which that is done."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._routes: dict[str, list[APIRoute]] = {}
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute):
                    for method in route.methods or ():
                        self._routes.setdefault(method, []).append(route)

    def needed(self, method: str, path: str) -> Needed | None:
        """Give the scopes of which one is wanted; None where there is no such route, which others will say."""
        for route in self._routes.get(method, ()):
            if route.path_regex.match(path):
                return wanted(method, route.path_format)
        return None
