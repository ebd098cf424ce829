"""Each page of a site with 10,000 products and 50,000 generations: how long the server needs, how many
queries, what a first visit weighs, and how soon it is painted by a slow machine (Chromium at a quarter of its
speed).

`pages.py --products N --generations N` measures another size.
"""

import argparse
import gc
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from measure import Target, below, describe_machine, report, site

ROUNDS = 60
LOADS = 5
SLOWER = 4
# Both ends of a link are on this machine, so what is weighed is what a browser is sent.
WEIGHTS = {"Script": 40_000, "Stylesheet": 20_000, "Font": 60_000, "Document": 20_000}
# What people do there: keys, clicks and words, one after the other.
JOURNEYS = {
    "overview: theme, palette, words": ("t", "t", "Control+k", "type linen", "Escape"),
    "queue: through the rows, one opened": ("j", "j", "j", "x", "Space"),
    "queue: a filter typed": ("/", "type lamp"),
    "products: two ticked, words": ("j", "x", "j", "x", "/", "type lamp"),
    "product: through the strip": ("ArrowRight", "ArrowRight", "+", "0"),
    "needs attention: two ticked": ("j", "x", "j", "x"),
    "review: passed over": ("s", "s"),
}
PASSWORD = "sunlit meadow under glass"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--generations", type=int, default=50_000)
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.answer:
        measure_answers(asked.products, asked.generations)
        return 0
    describe_machine()
    met: list[bool] = []
    with site() as environment:
        command = [sys.executable, __file__, "--answer", "--products", str(asked.products)]
        command += ["--generations", str(asked.generations)]
        answered = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        told = json.loads(answered.stdout)
        for page, figures in told["pages"].items():
            met.append(report(f"{page}, server time, median", figures["p50_ms"], "ms", below(15)))
            met.append(report(f"{page}, server time, 95 in 100", figures["p95_ms"], "ms"))
            met.append(report(f"{page}, queries", figures["queries"], "queries", Target("<", 13)))
        met += measure_browser(environment, told["urls"])
    return 0 if all(met) else 1


# -- the server ----------------------------------------------------------------------------------


def measure_answers(products: int, generations: int) -> None:
    """Fill the site, ask for each page, and print what that took. Runs in a process of its own."""
    import django

    django.setup()
    from django.db import connection
    from django.test import Client

    from history import fill
    from packshot import accounts
    from packshot.accounts.models import User
    from packshot.flows import import_catalogue

    person = User(username="ada", role="administrator")
    person.set_password(PASSWORD)
    person.save()
    import_catalogue.load_templates(accounts.this_shell())
    fill(products=products, generations=generations)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(person)
    pages = {}
    for name, url in urls().items():
        for _ in range(5):
            answer = client.get(url, headers={"accept": "text/html"})
        assert answer.status_code == 200, (url, answer.status_code)
        asked: list[str] = []

        def note(execute: Any, sql: str, *rest: Any, asked: list[str] = asked) -> Any:
            asked.append(sql)
            return execute(sql, *rest)

        with connection.execute_wrapper(note):
            client.get(url, headers={"accept": "text/html"})
        gc.collect()
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            client.get(url, headers={"accept": "text/html"})
            took.append((time.perf_counter() - began) * 1000)
        pages[name] = {
            "p50_ms": statistics.median(took),
            "p95_ms": statistics.quantiles(took, n=20)[-1],
            "queries": len(asked),
        }
    print(json.dumps({"pages": pages, "urls": urls()}))


def urls() -> dict[str, str]:
    """Every page for people, each with something to show."""
    from django.urls import reverse

    from packshot.catalogue.models import Product, PromptTemplate
    from packshot.generations.models import Generation

    failed = Generation.objects.filter(status="failed").order_by("-id").values_list("id", flat=True)[0]
    product = Product.objects.exclude(active_image=None).order_by("name").values_list("sku", flat=True)[0]
    template = PromptTemplate.objects.order_by("name").values_list("id", flat=True)[0]
    queue, products = reverse("queue"), reverse("products")
    return {
        "overview": reverse("overview"),
        "queue": queue,
        "queue, failed": f"{queue}?status=failed",
        "queue, searched": f"{queue}?q=linen",
        "queue, one open": f"{queue}?generation={failed}",
        "needs attention": reverse("attention"),
        "review": reverse("review"),
        "products": products,
        "products, to choose": f"{products}?state=to_choose",
        "products, searched": f"{products}?q=lamp",
        "product": reverse("product", args=[product]),
        "imports": reverse("imports"),
        "templates": reverse("templates"),
        "template": reverse("template", args=[template]),
        "budgets": reverse("budgets"),
        "providers": reverse("providers"),
        "providers, 30 days": reverse("providers") + "?days=30",
        "providers, by category": reverse("providers") + "?by=category",
        "provider": reverse("provider", args=["openai"]),
        "providers across products": reverse("compare_providers"),
        "settings": reverse("settings"),
        "settings, people": reverse("people"),
        "settings, providers": reverse("settings_providers"),
        "style": reverse("style"),
        "style, charts": reverse("style_charts"),
    }


# -- the browser ---------------------------------------------------------------------------------


def measure_browser(environment: dict[str, str], addresses: dict[str, str]) -> list[bool]:
    from playwright.sync_api import sync_playwright

    chromium = (
        os.environ.get("PACKSHOT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    if chromium is None:
        print("# no Chromium here: what a browser sees is not measured", file=sys.stderr)
        return []
    met = []
    with web(environment) as url, sync_playwright() as playwright:
        arguments = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
        ]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(f"{url}/accounts/login/")
        page.fill("#id_login", "ada")
        page.fill("#id_password", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**/admin")
        signed_in = context.storage_state()
        context.close()
        for name, path in {"sign-in": "/accounts/login/", **addresses}.items():
            state = None if name == "sign-in" else signed_in
            visits = [visit(browser, state, url + path) for _ in range(LOADS)]
            for kind, limit in WEIGHTS.items():
                sent = max(each["sent"].get(kind, 0) for each in visits)
                met.append(report(f"{name}, {kind.lower()} sent", sent / 1000, "kB", below(limit / 1000)))
            met.append(report(f"{name}, layout shift", max(each["cls"] for each in visits), "", below(0.02)))
            nodes = max(each["nodes"] for each in visits)
            met.append(report(f"{name}, elements", nodes, "elements"))
            lcp = statistics.median(each["lcp"] for each in visits)
            met.append(report(f"{name}, largest paint at a quarter of the speed", lcp, "ms", below(1000)))
        for name, presses in JOURNEYS.items():
            page_name, _, _ = name.partition(":")
            longest = [journey(browser, signed_in, url + addresses[page_name], presses) for _ in range(LOADS)]
            figure = statistics.median(longest)
            met.append(
                report(f"{name}, from press to paint at a quarter of the speed", figure, "ms", below(100))
            )
        browser.close()
    return met


def journey(browser: Any, state: Any, url: str, presses: tuple[str, ...]) -> float:
    """The longest time from a press to the next paint, on a page that has settled, by a slow machine."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, storage_state=state)
    page = context.new_page()
    page.goto(url)
    page.wait_for_timeout(1500)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.evaluate(
        """
        () => {
            window.longest = 0;
            new PerformanceObserver((list) => {
                for (const each of list.getEntries())
                    if (each.interactionId) window.longest = Math.max(window.longest, each.duration);
            }).observe({type: "event", durationThreshold: 16, buffered: false});
        }
        """
    )
    for press in presses:
        if press.startswith("click "):
            page.locator(press.removeprefix("click ")).first.click()
        elif press.startswith("type "):
            page.keyboard.type(press.removeprefix("type "), delay=40)
        else:
            page.keyboard.press(press)
        page.wait_for_timeout(350)
    longest = float(page.evaluate("window.longest"))
    context.close()
    return longest


def visit(browser: Any, state: Any, url: str) -> dict[str, Any]:
    """One first visit, with an empty cache, by a slow machine."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, storage_state=state)
    page = context.new_page()
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    kinds: dict[str, str] = {}
    sent: dict[str, float] = {}
    wire.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))

    def finished(event: dict[str, Any]) -> None:
        kind = kinds.get(event["requestId"], "")
        sent[kind] = sent.get(kind, 0) + event["encodedDataLength"]

    wire.on("Network.loadingFinished", finished)
    page.add_init_script(
        """
        window.shift = 0; window.paint = 0;
        new PerformanceObserver((list) => { for (const each of list.getEntries()) paint = each.startTime })
            .observe({type: "largest-contentful-paint", buffered: true});
        new PerformanceObserver((list) => {
            for (const each of list.getEntries()) if (!each.hadRecentInput) shift += each.value })
            .observe({type: "layout-shift", buffered: true});
        """
    )
    page.goto(url)
    page.wait_for_timeout(2500)
    seen = page.evaluate("({cls: shift, lcp: paint, nodes: document.querySelectorAll('*').length})")
    context.close()
    return {**seen, "sent": sent}


@contextmanager
def web(environment: dict[str, str]) -> Iterator[str]:
    """The site's web process, as `packshot serve` starts it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "packshot.asgi:application",
        "--port",
        str(port),
        "--log-level",
    ]
    process = subprocess.Popen([*command, "warning"], env={**environment, "PACKSHOT_URL": url})
    try:
        for _ in range(300):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    sys.exit(main())
