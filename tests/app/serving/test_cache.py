"""What goes when memory is short: the longest unused, pinned ones last, one in use never."""

import pytest

from app.errors import Unavailable
from app.serving.cache import Cache, Key
from app.serving.loaded import LoadedVersion
from app.serving.predictor import Predictor
from tests.app.serving.tiny import write_bundle

LIMIT = 10


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.load(write_bundle(tmp_path_factory.mktemp("bundle")))


@pytest.fixture
def cache() -> Cache:
    return Cache(LIMIT)


def key(name: str) -> Key:
    return name, 1, "onnx"


def add(cache: Cache, predictor: Predictor, *names: str, bytes: int = 3) -> list[LoadedVersion]:
    versions = [LoadedVersion(name, 1, predictor, bytes=bytes) for name in names]
    for version in versions:
        cache.add(key(version.model), version)
    return versions


def held(cache: Cache, names: str) -> str:
    return "".join(name for name in names if key(name) in cache)


def test_the_longest_unused_goes_first(cache: Cache, predictor: Predictor) -> None:
    add(cache, predictor, "a", "b", "c")
    assert cache.get(key("a")) is not None
    add(cache, predictor, "d")
    assert (held(cache, "abcd"), cache.bytes) == ("acd", 9)
    assert cache.get(key("b")) is None


def test_pinned_ones_go_last_but_they_go(cache: Cache, predictor: Predictor) -> None:
    cache.pinned = {("a", 1), ("b", 1)}
    add(cache, predictor, "a", "b", "c", "d")
    assert held(cache, "abcd") == "abd"
    add(cache, predictor, "e", bytes=7)
    assert held(cache, "abcde") == "be"


def test_one_in_use_stays_and_what_was_too_much_goes_when_it_is_free(cache: Cache, predictor: Predictor) -> None:
    busy = add(cache, predictor, "a", "b", "c")
    for version in busy:
        version.users = 1
    busy += add(cache, predictor, "d")
    busy[3].users = 1
    assert (held(cache, "abcd"), cache.is_over) == ("abcd", True)
    assert not cache.shrink()
    busy[1].users = 0
    assert cache.shrink()
    assert (held(cache, "abcd"), cache.is_over) == ("acd", False)
    assert not cache.shrink()


def test_two_formats_of_a_version_count_each(cache: Cache, predictor: Predictor) -> None:
    for name in ("onnx", "onnx-int8"):
        cache.add(("a", 1, name), LoadedVersion("a", 1, predictor, bytes=4))
    assert (len(cache), cache.bytes) == (2, 8)
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


def test_what_can_never_fit_is_refused_and_nothing_goes_for_it(cache: Cache, predictor: Predictor) -> None:
    add(cache, predictor, "a", "b")
    with pytest.raises(Unavailable) as caught:
        cache.make_room(key("c"), LIMIT + 1)
    assert caught.value.code == "model-too-large"
    assert held(cache, "ab") == "ab"
