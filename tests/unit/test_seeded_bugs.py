"""The seeded bugs fit the code as it stands; in the night, each is planted and must be caught."""

import pytest

from tests.seeded_bugs import BUGS, ROOT, main


def test_there_are_a_dozen_and_each_fits_the_code():
    assert len(BUGS) >= 12
    for bug in BUGS:
        for change in bug.changes:
            text = (ROOT / change.file).read_text()
            assert change.planted(text) != text, f"{bug.name}: {change.file}"


@pytest.mark.nightly
@pytest.mark.timeout(3000)
def test_each_turns_the_suite_red():
    assert main([]) == 0
