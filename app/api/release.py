"""Which release this is."""

from importlib.metadata import PackageNotFoundError, version


def app_version() -> str:
    """Give the installed version; a checkout that was never installed has none."""
    try:
        return version("tunesmith")
    except PackageNotFoundError:
        return "0.1.0"
