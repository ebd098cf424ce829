"""A newcomer's run: from `packshot up` on an empty folder to twenty products with a chosen image, pages only.

The steps are those of tests/browser/newcomer.py; packages are installed already.
"""

import os
import shutil
import sys
import time
from pathlib import Path

from measure import below, describe_machine, report

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> int:
    from playwright.sync_api import sync_playwright

    from tests.browser import newcomer
    from tests.browser.test_end_to_end import Site

    chromium = (
        os.environ.get("PACKSHOT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    if chromium is None:
        print("# no Chromium here: nothing is measured", file=sys.stderr)
        return 0
    describe_machine()
    began = time.perf_counter()
    site = Site(timer_scale=1)
    try:
        site.wait_until_up()
        up = time.perf_counter()
        with sync_playwright() as playwright:
            arguments = [
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
            ]
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            newcomer.sign_in(page, site.url, "admin", site.password())
            newcomer.make_images(page, site.url)
            asked = time.perf_counter()
            newcomer.watch_them_land(page, site.url)
            landed = time.perf_counter()
            newcomer.set_them_active(page, site.url)
            done = time.perf_counter()
            browser.close()
    finally:
        site.end()
    report("newcomer, `packshot up` to the first page", up - began, "s")
    report("newcomer, twenty images asked for until all landed", landed - asked, "s")
    return (
        0
        if report("newcomer, from `packshot up` to twenty active images", done - began, "s", below(300))
        else 1
    )


if __name__ == "__main__":
    sys.exit(main())
