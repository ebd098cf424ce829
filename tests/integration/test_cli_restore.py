"""A backup brought back sends nothing until a person has looked: it knows nothing of what was paid since."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from packshot.embedded import Cluster

pytestmark = pytest.mark.timeout(180)


def test_a_restored_site_has_its_spending_stopped_and_a_full_one_is_not_overwritten():
    folder = Path(tempfile.mkdtemp(prefix="packshot-restore-", dir="/var/tmp"))
    folder.chmod(0o755)
    backup = folder / "site.backup"

    def run(data: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        return subprocess.run(
            [sys.executable, "-m", "packshot", *arguments],
            env=environment | {"PACKSHOT_DATA": str(folder / data)},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    try:
        for data in ("first", "second"):
            (folder / data).mkdir(mode=0o755)
        assert run("first", "db", "migrate").returncode == 0
        assert run("first", "settings", "set", "brand_style", "on slate").returncode == 0
        assert run("first", "db", "backup", str(backup)).returncode == 0
        restored = run("second", "db", "restore", str(backup))
        assert restored.returncode == 0, restored.stderr
        assert "Spending is stopped" in restored.stdout
        with psycopg.connect(Cluster(folder / "second").ensure_running()) as session:
            stopped = session.execute(
                "SELECT stopped, changed_by_name FROM packshot.packshot_stop_switch"
            ).fetchone()
        assert stopped == (True, "restore")
        assert "on slate" in run("second", "settings", "get", "brand_style").stdout
        refused = run("second", "db", "restore", str(backup))
        assert refused.returncode == 2
        assert "--replace" in refused.stderr
    finally:
        for data in ("first", "second"):
            Cluster(folder / data).stop()
        shutil.rmtree(folder, ignore_errors=True)
