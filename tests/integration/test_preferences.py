"""Settings of the site are stored as they were understood, or refused in words."""

import pytest
from django.db import connection

from packshot import preferences
from packshot.kernel.errors import BadInput
from packshot.models import Preference
from packshot.preferences import DEFAULTS


@pytest.mark.django_db
def test_a_setting_nobody_made_has_its_default_and_one_that_was_made_keeps_its_maker() -> None:
    assert preferences.everything() == DEFAULTS
    preferences.set("low_score", "45", "ada")
    preferences.set("low_score", 50, "bo")
    assert preferences.get("low_score") == 50
    assert preferences.everything() == {**DEFAULTS, "low_score": 50}
    assert Preference.objects.get().changed_by_name == "bo"


@pytest.mark.django_db
@pytest.mark.parametrize("key", DEFAULTS)
def test_each_default_is_a_value_that_could_have_been_set(key: str) -> None:
    assert preferences.set(key, DEFAULTS[key], "ada") == DEFAULTS[key] == preferences.get(key)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "written", "understood"),
    [
        ("time_zone", "Asia/Kathmandu", "Asia/Kathmandu"),
        ("currency", " eur ", "EUR"),
        ("brand_style", "  soft light\n", "soft light"),
        (
            "placeholder_list",
            "no-photo\n\n cdn.example/*/blank \nno-photo",
            ["no-photo", "cdn.example/*/blank"],
        ),
        ("old_image_days", "90", 90),
        ("approval_required", "yes", True),
        ("approval_required", False, False),
    ],
)
def test_what_a_form_sends_is_understood(key: str, written: object, understood: object) -> None:
    assert preferences.set(key, written, "ada") == understood
    assert preferences.get(key) == understood


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "FOO+3"),  # the database would take it, and mean three hours west of nowhere
        ("currency", "euro"),
        ("brand_style", "x" * 2_001),
        ("placeholder_list", "*"),
        ("placeholder_list", 7),
        ("low_score", 101),
        ("low_score", True),
        ("low_score", "forty"),
        ("old_image_days", 0),
        ("approval_required", "perhaps"),
        ("colour", "green"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words_and_changes_nothing(key: str, written: object) -> None:
    with pytest.raises(BadInput) as refusal:
        preferences.set(key, written, "ada")
    assert refusal.value.field in (key, "key")
    assert not Preference.objects.exists()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://shop.example/wp-content/uploads/WooCommerce-Placeholder-600x600.png", True),
        ("https://cdn.example/42/blank.gif", True),
        ("https://cdn.example/42/mug.jpg", False),
        ("", False),
    ],
)
def test_an_address_is_on_the_placeholder_list_whatever_its_case(url: str, expected: bool) -> None:
    assert preferences.is_placeholder(url, ["placeholder", "cdn.example/*/blank"]) is expected


@pytest.mark.django_db
def test_the_database_cuts_days_in_the_zone_that_was_set() -> None:
    preferences.set("time_zone", "Asia/Kathmandu", "ada")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT packshot_period_start('day', '2026-08-02 18:20+00', packshot_setting('time_zone'))"
            " = '2026-08-02 18:15+00'"
        )
        assert cursor.fetchone() == (True,)
