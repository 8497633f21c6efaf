# The API: validates, stores, serves. No torch in here.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY app ./app
# Dependencies only; the code itself is copied below, so that a change of code does not install anything again.
RUN python -m venv /venv && /venv/bin/pip install --quiet -c constraints.txt '.[s3]' \
    && /venv/bin/pip uninstall --quiet --yes tunesmith

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin tunesmith \
    && install -d -o tunesmith -g tunesmith /data /data/cache /data/cache/hub /artifacts
COPY --from=build /venv /venv
WORKDIR /srv
COPY migrations ./migrations
COPY app ./app
COPY examples ./examples
ENV PATH=/venv/bin:$PATH PYTHONPATH=/srv PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=2 \
    TUNESMITH_DATA_DIR=/data TUNESMITH_ARTIFACTS_URL=file:///artifacts TUNESMITH_HOST=0.0.0.0 TUNESMITH_PORT=8000
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
CMD ["python", "-m", "app", "api"]
