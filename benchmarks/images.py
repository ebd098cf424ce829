"""Images: what a 1024 px PNG costs until its public copies stand, and how many copies a second are served.

The same work with Pillow beside it, in the same run. `images.py --images N` measures another number.
"""

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from measure import at_least, below, describe_machine, report, site
from packshot.blobs import BlobStore, open_store
from packshot.imaging.provenance import Provenance, write_xmp
from packshot.imaging.renditions import Decoder, RenditionType
from packshot.imaging.sealing import Sealer
from packshot.imaging.signing import Identity, local
from packshot.imaging.studio import Packshot, render
from packshot.imaging.studio.layers import KINDS

WIDTHS_PX = (320, 640, 1024)
FORMATS: Mapping[str, RenditionType] = {"webp": "image/webp", "avif": "image/avif"}
MADE = Provenance("algorithmicMedia", "studio")
CORES = 2
CONNECTIONS = 16
SERVED_S = 8.0
FIRST_COPIES = 60

Maker = Callable[[bytes], int]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--fill", help=argparse.SUPPRESS)
    parser.add_argument("--load", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fill:
        fill(int(asked.fill))
        return 0
    if asked.load:
        asyncio.run(load(*asked.load))
        return 0
    describe_machine()
    met = making(asked.images)
    with site() as environment:
        met += serving(environment)
    return 0 if all(met) else 1


# -- making copies -----------------------------------------------------------------------------------


def making(images: int) -> list[bool]:
    """From the bytes of a provider to six stored, marked and signed copies, on as many cores as there are."""
    pictures = [packshot(number) for number in range(images)]
    cost_s, a_minute = measured(with_ours, pictures)
    pillow_cost_s, pillow_a_minute = measured(with_pillow, pictures)
    return [
        report("six copies of an image, processor time", cost_s, "s", peers={"pillow": pillow_cost_s}),
        report(
            f"images a minute, {CORES} processes", a_minute, "images/min", peers={"pillow": pillow_a_minute}
        ),
    ]


def packshot(number: int) -> bytes:
    kind = KINDS[number % len(KINDS)]
    return render(
        Packshot(f"Sample {number}", kind, (), number, "studio", 1024, 1024), media_type="image/png"
    )


def measured(maker: Callable[[list[bytes], str], None], pictures: list[bytes]) -> tuple[float, float]:
    """Processor seconds an image, children included, and images a minute of the wall clock."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        local(Path(folder) / "signing.pem")
        # Started afresh, not forked: libvips and its threads must not be in a copy.
        processes = multiprocessing.get_context("spawn")
        shares = [pictures[at::CORES] for at in range(CORES)]
        used: multiprocessing.Queue[float] = processes.Queue()
        ready, go = processes.Barrier(CORES + 1), processes.Event()
        workers = [
            processes.Process(target=work, args=(maker, share, folder, used, ready, go)) for share in shares
        ]
        for each in workers:
            each.start()
        ready.wait()
        started = time.perf_counter()
        go.set()
        cpu_s = sum(used.get() for _ in workers)
        wall_s = time.perf_counter() - started
        for each in workers:
            each.join()
    return cpu_s / len(pictures), len(pictures) / wall_s * 60


def work(maker, pictures, folder, used, ready, go) -> None:  # type: ignore[no-untyped-def]
    maker(pictures[:1], folder)  # imports, children, caches
    ready.wait()
    go.wait()
    before = processor_s()
    maker(pictures, folder)
    used.put(processor_s() - before)


def processor_s() -> float:
    """Of this process and the children it has waited for."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def with_ours(pictures: list[bytes], folder: str) -> None:
    store, identity, specs = place(folder)
    with Decoder() as decoder, Sealer() as sealer:
        for content in pictures:
            store.put(content)
            for copy in decoder.make(content, specs, xmp=write_xmp(MADE), across=True).renditions:
                store.put(sealer.seal(copy.content, copy.media_type, MADE, identity, original=content))


def with_pillow(pictures: list[bytes], folder: str) -> None:
    """The same files as nearly as Pillow makes them: Lanczos, the same qualities, its usual AVIF speed."""
    from PIL import Image

    store, identity, _ = place(folder)
    xmp = write_xmp(MADE)
    with Sealer() as sealer:
        for content in pictures:
            store.put(content)
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as opened:
                whole = opened.convert("RGB")
            for width in WIDTHS_PX:
                size = (width, round(whole.height * width / whole.width))
                small = whole if size == whole.size else whole.resize(size, Image.Resampling.LANCZOS)
                for name, media_type in FORMATS.items():
                    encoded = io.BytesIO()
                    if name == "webp":
                        small.save(encoded, "WEBP", quality=80, method=2, xmp=xmp)
                    else:
                        small.save(encoded, "AVIF", quality=60, speed=6, xmp=xmp)
                    store.put(sealer.seal(encoded.getvalue(), media_type, MADE, identity, original=content))


def place(folder: str) -> tuple[BlobStore, Identity, list[str]]:
    specs = [f"{name}-{width}" for name in FORMATS for width in WIDTHS_PX]
    return open_store(f"file://{folder}/blobs"), local(Path(folder) / "signing.pem"), specs


# -- serving them --------------------------------------------------------------------------------------


def serving(environment: Mapping[str, str]) -> list[bool]:
    command = [sys.executable, __file__]
    subprocess.run([*command, "--fill", str(FIRST_COPIES)], env=dict(environment), check=True)
    with running(environment) as port:
        firsts_ms = {
            name: [first_ms(port, f"/i/B-{number}.{name}?w=640") for number in range(FIRST_COPIES)]
            for name in ("webp", "avif")
        }
        place = redirected(port, "/i/B-0.webp?w=640")
        sent = {
            name: rate(command, environment, port, path)
            for name, path in (("hashed", place), ("lasting", "/i/B-0.webp?w=640"))
        }
    return [
        *(
            report(f"first {name} copy, 95 in 100", nearly_slowest(firsts_ms[name]), "ms")
            for name in firsts_ms
        ),
        report("/r/HASH", sent["hashed"]["rate"], "requests/s", at_least(500)),
        report("/r/HASH, 95 in 100", sent["hashed"]["p95_ms"], "ms"),
        report("/i/SKU", sent["lasting"]["rate"], "requests/s", at_least(150)),
        report("/i/SKU, 95 in 100", sent["lasting"]["p95_ms"], "ms"),
        report("answers that were none", sent["hashed"]["bad"] + sent["lasting"]["bad"], "", below(1)),
    ]


@contextmanager
def running(environment: Mapping[str, str]) -> Iterator[int]:
    """The site's web process, as `packshot serve` runs it, and one of chores."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    environment = {**environment, "PACKSHOT_PORT": str(port)}
    packshot = [sys.executable, "-m", "packshot"]
    processes = [
        subprocess.Popen([*packshot, "serve"], env=environment),
        subprocess.Popen([*packshot, "work", "--only", "chores"], env=environment),
    ]
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError):
                if ask(port, "/healthz")[0] == 200:
                    break
            time.sleep(0.1)
        first_ms(port, "/i/WARM.webp?w=640")
        first_ms(port, "/i/WARM.avif?w=640")
        yield port
    finally:
        for each in processes:
            each.send_signal(signal.SIGTERM)
        for each in processes:
            each.wait(30)


def ask(port: int, path: str) -> tuple[int, str]:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers.get("location") or ""


def first_ms(port: int, path: str) -> float:
    """From the request to the signpost to a copy that was not there."""
    started = time.perf_counter()
    while ask(port, path)[0] != 302:
        if time.perf_counter() - started > 60:
            raise TimeoutError(path)
    return (time.perf_counter() - started) * 1000


def redirected(port: int, path: str) -> str:
    status, place = ask(port, path)
    assert status == 302
    return place


def nearly_slowest(values: list[float]) -> float:
    return sorted(values)[len(values) * 95 // 100]


def rate(command: list[str], environment: Mapping[str, str], port: int, path: str) -> dict[str, float]:
    asked = [*command, "--load", str(port), path]
    done = subprocess.run(asked, env=dict(environment), check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


async def load(port: str, path: str) -> None:
    """Ask again and again over open connections, which answers come whole, and tell how many a second."""
    times: list[float] = []
    bad = 0
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    end = time.perf_counter() + SERVED_S

    async def one() -> None:
        nonlocal bad
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        while time.perf_counter() < end:
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - started)
            bad += head[9:12] not in (b"200", b"302")
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    elapsed = time.perf_counter() - started
    slow = sorted(times)[len(times) * 95 // 100]
    print(json.dumps({"rate": len(times) / elapsed, "p95_ms": slow * 1000, "bad": bad}))


def fill(products: int) -> None:
    """A product and its active image for each first copy that is measured."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "packshot.settings")
    import django

    django.setup()
    from packshot.catalogue.models import Image, Product
    from packshot.flows import look

    for number, sku in enumerate(["WARM", *(f"B-{number}" for number in range(products))]):
        content = packshot(number)
        product = Product.objects.create(sku=sku, name=sku)
        image = Image.objects.create(
            product=product,
            blob=look.store().put(content),
            media_type="image/png",
            width_px=1024,
            height_px=1024,
            size_bytes=len(content),
            provider="sandbox",
            model="studio",
            simulated=True,
            digital_source_type="algorithmicMedia",
            state="ready",
        )
        Product.objects.filter(pk=product.pk).update(active_image=image)


if __name__ == "__main__":
    sys.exit(main())
