"""Starts a throwaway PostgreSQL before Django reads its settings. Loaded with `-p tests.database`.

The controller of a run starts it and its workers inherit the address; each worker has a database of its
own in it (pytest-django). PACKSHOT_TEST_DATABASE_URL names another server instead, such as Debian's.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

KEYS = ("OPENAI_API_KEY", "MIDJOURNEY_API_KEY", "STABILITY_API_KEY", "FLUX_API_KEY")

for name in KEYS:
    os.environ.pop(name, None)


def _start() -> None:
    # Under /var/tmp, not under pytest's own folder: as root the server runs as another user, who must be
    # able to pass.
    folder = Path(tempfile.mkdtemp(prefix="packshot-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    os.environ["PACKSHOT_DATA"] = str(folder / "data")
    os.environ["PACKSHOT_TEST_FOLDER"] = str(folder)
    os.environ["PACKSHOT_LOG_LEVEL"] = "WARNING"
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            if cluster is not None:
                cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)

    cluster = None
    given = os.environ.get("PACKSHOT_TEST_DATABASE_URL")
    if os.environ.get("PACKSHOT_TEST_DATABASE") == "none":
        # Unit tests alone: whoever reaches for a database has made a mistake, and is told so.
        os.environ["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    elif given:
        os.environ["DATABASE_URL"] = given
    else:
        from packshot.embedded import Cluster

        cluster = Cluster.throwaway(folder / "data")
        os.environ["DATABASE_URL"] = cluster.ensure_running()
    atexit.register(remove)


if "PACKSHOT_TEST_FOLDER" not in os.environ:
    _start()
elif "PYTEST_XDIST_WORKER" in os.environ:
    # Files of a worker are its own, like its database.
    os.environ["PACKSHOT_DATA"] = f"{os.environ['PACKSHOT_TEST_FOLDER']}/{os.environ['PYTEST_XDIST_WORKER']}"
