"""The same program on a PostgreSQL of one's own: Debian's 15, reached by DATABASE_URL as a plain user."""

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from packshot import sql
from tests.ports import free_port

pytestmark = pytest.mark.timeout(600)


def binaries() -> Path:
    """The folder of the system's PostgreSQL, 15 where there are several."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda each: each.parts[4])
    if not found:
        if os.environ.get("CI"):
            pytest.fail("this machine has no PostgreSQL of its own, and CI must not skip it")
        pytest.skip("this machine has no PostgreSQL of its own (Debian: apt-get install postgresql)")
    return found[0].parent


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A fresh server with one database, and a role that may do nothing else."""
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="packshot-external-", dir="/var/tmp"))
    folder.chmod(0o755)
    as_user: dict[str, object] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = {"user": "postgres", "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}}
    data = folder / "data"
    subprocess.run([programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8"],
                   check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_user)  # fmt: skip
    port = free_port()
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, "-c", "listen_addresses=127.0.0.1", "-p", str(port),
         "-c", f"unix_socket_directories={folder}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **as_user,
    )  # fmt: skip
    try:
        import psycopg

        until = time.monotonic() + 30
        while True:
            try:
                session = psycopg.connect(
                    f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True
                )
                break
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        password = secrets.token_hex(8)
        with session:
            session.execute(f"CREATE ROLE shop LOGIN PASSWORD '{password}'")
            session.execute("CREATE DATABASE shop OWNER shop")
        yield f"postgresql://shop:{password}@127.0.0.1:{port}/shop"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def test_migrations_views_and_one_run_work_on_the_systems_postgresql(url):
    """`packshot up` on it, a generation asked for by the command line, its image landed, the views read."""
    import psycopg

    folder = Path(tempfile.mkdtemp(prefix="packshot-external-", dir="/var/tmp"))
    port = free_port()
    environment = {
        **os.environ, "DATABASE_URL": url, "PACKSHOT_DATA": str(folder), "BLOB_URL": "",
        "PACKSHOT_PORT": str(port), "PACKSHOT_LOG_LEVEL": "WARNING",
    }  # fmt: skip
    program = [sys.executable, "-m", "packshot"]
    said = folder / "said.log"
    with said.open("wb") as log:
        site = subprocess.Popen([*program, "up"], env=environment, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 120
        while "Ready" not in said.read_text():
            assert site.poll() is None, said.read_text()
            assert time.monotonic() < until, f"the site did not come up: {said.read_text()}"
            time.sleep(0.25)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
            assert answer.status == 200
        asked = subprocess.run(
            [*program, "generate", "--all-without-image", "--provider", "sandbox", "--yes", "--wait"],
            env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert asked.returncode == 0, asked.stdout + asked.stderr
        with psycopg.connect(url, options="-c search_path=packshot") as session:
            version = session.execute("SHOW server_version_num").fetchone()[0]
            assert int(version) >= 150_000
            for view in sql.VIEWS:
                session.execute(f"SELECT * FROM {view}").fetchall()
            completed, in_queue = session.execute(
                "SELECT completed_count, total_in_queue FROM image_generation_dashboard"
            ).fetchone()
            assert completed >= 64
            assert in_queue == 0
            compared = session.execute("SELECT count(*) FROM image_comparison_view WHERE images ? 'sandbox'")
            assert compared.fetchone()[0] == completed
            # Nothing of ours lies where a hosted Postgres would show it by accident.
            public = session.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            assert public.fetchone()[0] == 0
        doctor = subprocess.run([*program, "doctor"], env=environment, capture_output=True, text=True,
                                timeout=60, check=False)  # fmt: skip
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        assert not re.search(r"\bpassword\b.*:\S*@", doctor.stdout)
    finally:
        site.terminate()
        site.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
