"""Addresses that are kept are those that Django writes."""

from uuid import uuid4

from django.test.utils import override_script_prefix
from django.urls import reverse

from packshot.web.addresses import address_of


def test_an_address_that_is_kept_is_the_one_that_django_writes():
    image = uuid4()
    for name, *arguments in (("queue",), ("product", "A/1"), ("generation", image), ("generation", uuid4())):
        for _ in range(2):
            assert address_of(name, *arguments) == reverse(name, args=arguments)


def test_a_kept_address_stays_below_where_the_site_is_mounted():
    above = address_of("queue")
    with override_script_prefix("/shop/"):
        assert address_of("queue") == "/shop" + above
    assert address_of("queue") == above
