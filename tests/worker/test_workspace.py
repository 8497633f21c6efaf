"""The folders of workers: private while their owner lives, swept when it is dead."""

import subprocess
import sys
from pathlib import Path

from worker import workspace
from worker.workspace import Workspace

DIES_AT_WORK = """
import os, sys
from pathlib import Path
from worker.workspace import Workspace
mine = Workspace(Path(sys.argv[1]), Path(sys.argv[1]) / "logs")
mine.open()
(mine.new_folder() / "rows.jsonl").write_text("data")
os._exit(9)
"""


def test_leftovers_of_a_dead_worker_are_swept_and_those_of_a_living_one_kept(tmp_path):
    subprocess.run([sys.executable, "-c", DIES_AT_WORK, str(tmp_path)], cwd=Path.cwd(), check=False)
    (left,) = tmp_path.glob("wrk_*/000001/rows.jsonl")
    living = Workspace(tmp_path, tmp_path / "logs")
    living.open()
    assert not left.exists()
    folder = living.new_folder()
    newcomer = Workspace(tmp_path, tmp_path / "logs")
    newcomer.open()
    assert folder.is_dir()
    newcomer.close()
    living.close()
    assert list(tmp_path.glob("wrk_*")) == []


def test_only_the_newest_logs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "KEPT_LOGS", 2)
    place = Workspace(tmp_path / "work", tmp_path / "logs")
    place.open()
    for number in range(4):
        log = place.new_folder() / "child.log"
        log.write_text(f"{number}")
        place.keep_log(log, f"job-{number}")
    place.close()
    assert len(list((tmp_path / "logs").iterdir())) == 2
    assert (tmp_path / "logs" / "job-3.log").read_text() == "3"
