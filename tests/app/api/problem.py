"""What every error answer must be, whatever went wrong."""

from typing import Any


def problem_of(answer: Any) -> tuple[int, str]:
    """Check that an answer is a problem in full, and give its status and code."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"] == f"/problems/{body['code']}"
    assert body["title"] and body["detail"] and body["category"]
    assert body["retryable"] in (True, False)
    assert body["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, body["code"]
