"""What an administrator decides about people and the site, and what not even an administrator can do."""

import pytest

from packshot import accounts, preferences
from packshot.accounts import Actor
from packshot.accounts.models import AuditEntry, Role, User
from packshot.flows import administer
from packshot.generations.models import ProviderRecord
from packshot.kernel.errors import BadInput
from tests import build
from tests.beside import Beside
from tests.browser import story

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> Actor:
    return accounts.of_user(story.person("administrator", "ada"))


def test_a_new_person_signs_in_with_the_password_that_is_told_once(ada, client):
    password = administer.add_person(" bo ", "editor", ada)
    assert client.login(username="bo", password=password)
    assert password not in str(list(AuditEntry.objects.values()))
    assert password not in User.objects.get(username="bo").password


@pytest.mark.parametrize("name", ["ada", "ADA", "", "a b", "x" * 151])
def test_a_name_that_cannot_be_is_refused(ada, name):
    with pytest.raises(BadInput) as caught:
        administer.add_person(name, "editor", ada)
    assert caught.value.field == "name"
    assert User.objects.count() == 1


def test_nobody_shuts_themselves_out(ada):
    story.person("administrator", "bo")
    for act in (
        lambda: administer.set_access("ada", ada, active=False),
        lambda: administer.set_role("ada", "viewer", ada),
        lambda: administer.renew_password("ada", ada),
    ):
        with pytest.raises(BadInput):
            act()
    person = User.objects.get(username="ada")
    assert (person.role, person.is_active) == (Role.ADMINISTRATOR, True)
    assert person.check_password(story.PASSWORD)


def test_the_last_administrator_stays_one_also_from_the_command_line(ada):
    shell = accounts.this_shell()
    with pytest.raises(BadInput, match="last administrator"):
        administer.set_role("ada", "viewer", shell)
    with pytest.raises(BadInput, match="last administrator"):
        administer.set_access("ada", shell, active=False)
    story.person("administrator", "bo")
    assert administer.set_access("ada", shell, active=False)


@pytest.mark.django_db(transaction=True)
def test_of_two_administrators_who_disable_each_other_at_the_same_moment_one_stays(ada, monkeypatch):
    bo = accounts.of_user(story.person("administrator", "bo"))
    real, later = administer._person, []

    def found(name: str) -> User:
        person = real(name)
        if not later:
            later.append(Beside(lambda: administer.set_access("ada", bo, active=False)))
            later[0].wait_until_blocked()
        return person

    monkeypatch.setattr(administer, "_person", found)
    assert administer.set_access("bo", ada, active=False)
    with pytest.raises(BadInput, match="last administrator"):
        later[0].result()
    assert list(User.objects.filter(is_active=True).values_list("username", flat=True)) == ["ada"]


def test_several_settings_are_changed_together_or_not_at_all(ada):
    with pytest.raises(administer.UnusableSettings) as caught:
        administer.set_preferences(
            {"time_zone": "Nowhere/Land", "currency": "EUR", "low_score": "900", "brand_style": "Soft"}, ada
        )
    assert caught.value.problems.keys() == {"time_zone", "low_score"}
    assert preferences.everything() == dict(preferences.DEFAULTS)
    assert not AuditEntry.objects.filter(action="change setting").exists()
    changed = administer.set_preferences(
        {"time_zone": "Europe/Berlin", "currency": "usd", "low_score": "30", "approval_required": "on"}, ada
    )
    assert changed == {"time_zone": "Europe/Berlin", "approval_required": True}
    assert AuditEntry.objects.filter(action="change setting").count() == 2


def test_who_does_not_hold_the_right_changes_nobody_and_nothing(ada):
    bo = accounts.of_user(story.person("publisher", "bo"))
    for act in (
        lambda: administer.add_person("cy", "viewer", bo),
        lambda: administer.set_role("ada", "viewer", bo),
        lambda: administer.set_access("ada", bo, active=False),
        lambda: administer.renew_password("ada", bo),
        lambda: administer.set_preferences({"currency": "EUR"}, bo),
    ):
        with pytest.raises(BadInput, match="only an administrator"):
            act()


def test_real_money_needs_a_limit_and_what_is_free_does_not(ada, monkeypatch):
    for name in ("openai", "box"):
        build.provider_row(name, simulated=False, on=False)
    free = build.StandIn("box")
    free.free = True
    monkeypatch.setattr(administer, "quoting", lambda: {"openai": build.StandIn("openai"), "box": free})
    assert administer.switch_on("box", ada, limit_micros=None) is None
    with pytest.raises(BadInput, match="needs a limit"):
        administer.switch_on("openai", ada, limit_micros=None)
    rows = dict(ProviderRecord.objects.values_list("name", "switched_on"))
    assert (rows["box"], rows["openai"]) == (True, False)
    limit = administer.switch_on("openai", ada, limit_micros=25_000_000)
    assert limit is not None
    assert limit.limit_micros == 25_000_000
