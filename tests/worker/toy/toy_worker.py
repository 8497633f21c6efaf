"""``python toy_worker.py DATA_DIR MODEL_DIR BROKER_URL``: a whole worker process whose pipeline is the toy's."""

import sys
from pathlib import Path

from app.logging import configure
from app.settings import Settings
from worker.__main__ import Worker

if __name__ == "__main__":
    settings = Settings(
        _env_file=None,
        data_dir=Path(sys.argv[1]),
        base_models={"tiny": Path(sys.argv[2])},
        broker_url=sys.argv[3],
        lease_seconds=3.0,
        heartbeat_seconds=0.2,
        poll_seconds=float(sys.argv[4]) if len(sys.argv) > 4 else 0.2,
        sweep_seconds=0.5,
        cancel_grace_seconds=1.0,
        drain_grace_seconds=1.0,
        warm_spare=False,
    )
    configure(settings)
    Worker(settings, ["default"], pipeline="toy_pipeline:run").run()
