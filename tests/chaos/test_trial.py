"""Five hundred generations against providers that go wrong in every usual way."""

import time

import pytest

from packshot.simulator import faults
from tests.chaos.checker import check
from tests.chaos.harness import Site, catalogue, seed, wait_for

pytestmark = pytest.mark.chaos

PRODUCTS = 250


def test_500_generations_with_faults_end_and_every_micro_dollar_is_explained():
    script = faults.mix(0.05, seed=seed(), slow_s=2.0)
    print(f"PACKSHOT_CHAOS_SEED={seed()}")
    with Site(faults=script) as site:
        listed, skus = catalogue(site.folder, PRODUCTS)
        client = site.client
        began = time.monotonic()
        assert client.call("prepare", catalogue=str(listed), seats={"openai": 40, "flux": 40}) == PRODUCTS
        print(f"prepared {time.monotonic() - began:.1f} s")
        for provider in ("openai", "flux"):
            client.call("ask", provider=provider, key=f"trial-{provider}", skus=skus)
        print(f"asked {time.monotonic() - began:.1f} s")
        site.work()
        wait_for("all at rest", site.at_rest, within_s=120, every_s=0.25)
        print(f"at rest {time.monotonic() - began:.1f} s")
        verdict = check(site.database(), site.bill, site.blob_url)
        print(verdict, site.simulator.control.faults_fired())
        assert verdict.problems == ()
