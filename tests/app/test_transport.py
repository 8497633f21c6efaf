"""What the client does when the network or the service has a bad day."""

import time
from collections.abc import Iterator

import pytest

from app.client import ApiError, Misconfigured, Tunesmith, Unreachable
from tests.app.scripted_service import Answer, ScriptedService, problem

EMPTY_PAGE = Answer(body='{"data": [], "has_more": false}')


@pytest.fixture
def scripted() -> Iterator[ScriptedService]:
    service = ScriptedService()
    yield service
    service.close()


@pytest.fixture
def client(scripted: ScriptedService) -> Iterator[Tunesmith]:
    with Tunesmith(scripted.url, "a-key-of-mine", retry_seconds=10.0) as client:
        yield client


def test_a_problem_is_raised_with_all_that_it_says(scripted: ScriptedService, client: Tunesmith) -> None:
    broken = {"pointer": "/model", "rule": "invalid-format", "detail": "is no name", "remedy": "Use lower case."}
    scripted.will(problem(422, "invalid-value", remedy="Mend it.", errors=[broken]))
    with pytest.raises(ApiError) as caught:
        list(client.jobs())
    error = caught.value
    assert (error.status, error.code, error.detail, error.remedy) == (
        422,
        "invalid-value",
        "What is wrong.",
        "Mend it.",
    )
    assert (error.request_id, error.errors[0].pointer, error.errors[0].remedy) == ("req_1", "/model", "Use lower case.")
    assert len(scripted.asked) == 1, "what is refused is not sent again"


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again(scripted: ScriptedService, client: Tunesmith, status: int) -> None:
    scripted.will(problem(status, "busy"), problem(status, "busy"), EMPTY_PAGE)
    assert list(client.jobs()) == []
    assert len(scripted.asked) == 3


def test_retry_after_is_obeyed(scripted: ScriptedService, client: Tunesmith) -> None:
    scripted.will(problem(429, "busy", headers={"Retry-After": "1"}), EMPTY_PAGE)
    began = time.monotonic()
    list(client.jobs())
    assert time.monotonic() - began >= 1.0


def test_a_longer_wait_than_patience_is_refused_at_once(scripted: ScriptedService, client: Tunesmith) -> None:
    scripted.will(problem(429, "queue-full", headers={"Retry-After": "60"}))
    began = time.monotonic()
    with pytest.raises(ApiError):
        list(client.jobs())
    assert time.monotonic() - began < 5.0


def test_a_repeated_post_carries_the_same_key_and_another_post_another(
    scripted: ScriptedService, client: Tunesmith
) -> None:
    scripted.will(problem(503, "busy"), problem(503, "busy"), problem(409, "already-finished"))
    for _ in range(2):
        with pytest.raises(ApiError):
            client.cancel("job_1")
    keys = [asked.headers["Idempotency-Key"] for asked in scripted.asked]
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]


def test_an_upload_is_sent_whole_when_it_is_repeated(
    scripted: ScriptedService, client: Tunesmith, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("upload") / "a.csv"
    file.write_text("text,label\nfine,good\n" * 2000)
    scripted.will(problem(503, "busy"), problem(422, "refused"))
    with pytest.raises(ApiError):
        client.upload_dataset(file, label_names=["a", "b"], seed=7)
    first, second = (asked.body for asked in scripted.asked)
    assert file.read_bytes() in first
    assert file.read_bytes() in second
    assert b'name="seed"\r\n\r\n7' in second
    assert b'name="label_names"\r\n\r\n["a", "b"]' in second


def test_predicting_leaves_no_key_behind(scripted: ScriptedService, client: Tunesmith) -> None:
    scripted.will(problem(404, "model-not-found"))
    with pytest.raises(ApiError):
        client.predict("mood", "fine")
    assert "Idempotency-Key" not in scripted.asked[0].headers


def test_the_key_is_sent_as_a_bearer_token(scripted: ScriptedService, client: Tunesmith) -> None:
    scripted.will(EMPTY_PAGE)
    list(client.jobs())
    assert scripted.asked[0].headers["Authorization"] == "Bearer a-key-of-mine"


def test_an_answer_that_is_no_problem_document_says_so(scripted: ScriptedService, client: Tunesmith) -> None:
    scripted.will(Answer(404, "<html>nothing here</html>", {"Content-Type": "text/html"}))
    with pytest.raises(ApiError, match="404") as caught:
        client.job("job_1")
    assert caught.value.remedy is not None and "TUNESMITH_URL" in caught.value.remedy


def test_nobody_there_is_told_with_the_address(scripted: ScriptedService) -> None:
    scripted.close()
    began = time.monotonic()
    with Tunesmith(scripted.url, retry_seconds=0.5) as client, pytest.raises(Unreachable, match=scripted.url):
        client.job("job_1")
    assert time.monotonic() - began < 3.0


def test_a_service_elsewhere_that_does_not_answer_is_told_with_what_to_check() -> None:
    with Tunesmith("http://nowhere.invalid:8000", retry_seconds=0.0) as client, pytest.raises(Unreachable) as caught:
        client.job("job_1")
    assert "http://nowhere.invalid:8000" in caught.value.detail
    assert caught.value.remedy is not None and "TUNESMITH_URL" in caught.value.remedy
    assert "make run" not in caught.value.remedy


def test_this_machine_is_not_reached_through_a_proxy(
    scripted: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    scripted.will(EMPTY_PAGE)
    with Tunesmith(scripted.url) as client:
        assert list(client.jobs()) == []


@pytest.mark.parametrize(("key", "said"), [(None, "wants a key"), ("wrong-key-of-mine", "does not take this key")])
def test_a_refused_key_is_told_with_what_to_set(scripted: ScriptedService, key: str | None, said: str) -> None:
    scripted.will(problem(401, "unauthenticated", remedy="Send one header."))
    with Tunesmith(scripted.url, key) as client, pytest.raises(ApiError) as caught:
        list(client.jobs())
    assert said in caught.value.detail
    assert caught.value.remedy is not None and "TUNESMITH_API_KEY" in caught.value.remedy
    assert key is None or key not in f"{caught.value.detail} {caught.value.remedy}"


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "nonsense", "ftp://host", "http://", "http://[::1", "http://h:port"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(Misconfigured, match="no address"):
        Tunesmith(url)


@pytest.mark.parametrize("key", ["schlüssel", "two words", "line\n"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Tunesmith("http://127.0.0.1:8000", key)
    assert key not in f"{caught.value.detail} {caught.value.remedy}"


def test_a_broken_connection_is_taken_up_again(scripted: ScriptedService, client: Tunesmith) -> None:
    scripted.will(Answer(body='{"data": [', cut=True), EMPTY_PAGE)
    assert list(client.jobs()) == []


def test_pages_are_followed_and_a_limit_ends_them(scripted: ScriptedService, client: Tunesmith) -> None:
    alias = '{"name": "m", "latest_version": 1, "serving_version": 1, "aliases": [], "policies": [], "splits": [], "links": {}, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}'  # noqa: E501
    full = Answer(body=f'{{"data": [{alias}, {alias}], "has_more": true, "next_cursor": "c/1"}}')
    last = Answer(body=f'{{"data": [{alias}], "has_more": false}}')
    scripted.will(full, last)
    assert len(list(client.models())) == 3
    assert scripted.asked[1].path == "/models?limit=100&cursor=c%2F1"
    scripted.will(full)
    assert len(list(client.models(limit=3))) == 3
    assert scripted.asked[-1].path == "/models?limit=3&cursor=c%2F1"
