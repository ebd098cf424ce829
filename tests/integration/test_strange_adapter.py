"""The adapter of docs/adapters.md, taken from the page, installed from a package of its own, and used."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("pyproject.toml", "packshot_lumen.py", "test_lumen.py")


def written() -> dict[str, str]:
    """The files of the page, by the name above each."""
    page = (ROOT / "docs" / "adapters.md").read_text()
    return dict(re.findall(r"^### ([\w.]+)\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """The folder of its sources, and an environment in which it is installed beside Packshot."""
    folder, site = tmp_path_factory.mktemp("lumen"), tmp_path_factory.mktemp("site")
    for name, text in written().items():
        (folder / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps",
         "--no-build-isolation", "--target", str(site), str(folder)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"VIRTUAL_ENV": sys.prefix},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "src")]),
        "PACKSHOT_DATA": str(tmp_path_factory.mktemp("data")),
    }
    return folder, environment


def run(installed: tuple[Path, dict[str, str]], *command: str) -> subprocess.CompletedProcess[str]:
    folder, environment = installed
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_it_is_short_and_whole():
    assert tuple(written()) == FILES
    lines = [line for line in written()["packshot_lumen.py"].splitlines() if line.strip()]
    assert len(lines) <= 80


def test_the_author_s_own_tests_pass(installed):
    done = run(
        installed,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--override-ini",
        "addopts=",
        "test_lumen.py",
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 30


def test_packshot_finds_it_and_quotes_it(installed):
    told = run(
        installed,
        "-c",
        "import packshot.settings\n"
        "from packshot.providers import registry\n"
        "from packshot.providers.contract import Account, ImageRequest\n"
        "lumen = registry.build('lumen', Account(key='', base_url='', simulated=True))\n"
        "print(registry.found().broken, lumen.quote(ImageRequest('lumen-2', 'An apron')).expected)\n",
    )
    assert told.stdout.strip() == "{} 25000", told.stderr[-2000:]
