"""Which release of this software runs."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Give the installed version; a checkout that was never installed has none and is taken for the newest."""
    try:
        return version("tunesmith")
    except PackageNotFoundError:
        return "0.1.0"
