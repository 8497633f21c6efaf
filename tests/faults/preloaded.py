"""What processes of the service load only when they come to need it: loaded before they are forked, for all at once."""

import gc
import importlib

from sqlalchemy.orm import configure_mappers

LAZY = (
    "tests.faults.processes",
    "anyio._backends._asyncio",
    "app.queue.line",
    "billiard.pool",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.routes",
    "celery.backends.base",
    "celery.concurrency.thread",
    "celery.events.receiver",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer.consumer",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.control",
    "celery.worker.loops",
    "celery.worker.pidbox",
    "celery.worker.strategy",
    "encodings.idna",
    "kombu.transport.redis",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)

for name in LAZY:
    importlib.import_module(name)
configure_mappers()
gc.collect()
gc.freeze()  # what is shared stays shared: the collector of a forked process does not look at it
