"""The one way out: what it refuses to call, what it bounds, and what it says about bytes that left."""

import asyncio
import datetime
import gzip
import http.server
import ipaddress
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from packshot.providers.http import (
    Answer,
    Blocked,
    Cut,
    Deadline,
    GuardedClient,
    NotJson,
    NotSent,
    Redirected,
    TooLarge,
    VettedNetwork,
    is_home,
    is_public,
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ROOM = {"deadline_s": 5, "max_bytes": 1_000_000}


class Listener:
    """A loopback server that counts connections and requests; what it answers is the test's business."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """One whole request: its head, and as much body as it announces."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        whole = head + await reader.readexactly(length)
        self.requests.append(whole)
        return whole


@asynccontextmanager
async def listening(
    handler: Handler | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Listener]:
    listener = Listener(handler or (lambda reader, writer: asyncio.sleep(0)))
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0, ssl=tls, backlog=1024)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()


def answering(*responses: bytes, then: str = "close") -> tuple[Handler, list[Listener]]:
    """A handler that answers each request of a connection with the next response."""
    owner: list[Listener] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for response in responses:
            await owner[0].request(reader)
            writer.write(response)
            await writer.drain()
        if then == "wait":
            await reader.read(1)

    return handle, owner


@asynccontextmanager
async def server(*responses: bytes, then: str = "close") -> AsyncIterator[Listener]:
    handler, owner = answering(*responses, then=then)
    async with listening(handler) as listener:
        owner.append(listener)
        yield listener


def ok(body: bytes, *headers: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (*headers, f"Content-Length: {len(body)}"))
    return b"HTTP/1.1 200 OK\r\n" + head.encode() + b"\r\n" + body


async def fails(call: Awaitable[Answer]) -> Exception:
    try:
        answer = await call
    except Exception as error:
        return error
    raise AssertionError(f"it answered {answer.status}")


# -- whom it calls ------------------------------------------------------------------------------


def hostile_urls(port: int) -> list[str]:
    """Addresses that lead home, elsewhere, or nowhere, in every spelling we know (S14)."""
    at = f":{port}"
    homes = [
        "127.0.0.1", "127.1", "127.0.1", "127.00.00.01", "0177.0.0.1", "0177.0.0.01", "017700000001",
        "0x7f.0.0.1", "0x7f.1", "0x7f000001", "0x7F000001", "2130706433", "0", "0.0.0.0", "127.255.255.254",
        "localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "ip6-localhost",
        "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
        "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]",
        "[fd00::1]", "[fec0::1]", "[ff02::1]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
        "169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "192.0.0.8",
        "192.0.0.192", "224.0.0.1", "255.255.255.255", "127.0.0.1.nip.io", "api.bfl.ai.evil.example",
        "evil-bfl.ai", "bfl.ai",
        "xbfl.ai", "api.bfl.ai.", "api_.bfl.ai", "-.bfl.ai", ".bfl.ai", "..bfl.ai", "127.0.0.1%2f.bfl.ai",
        "api%2ebfl%2eai",
    ]  # fmt: skip
    return [
        *(f"https://{home}/x" for home in homes),
        *(f"https://{home}{at}/x" for home in homes[:12]),
        f"http://api.bfl.ai{at}/x",
        f"https://api.bfl.ai{at}/x",
        "https://api.bfl.ai:80/x",
        "http://api.bfl.ai/x",
        f"https://api.bfl.ai@127.0.0.1{at}/",
        f"https://api.bfl.ai:443@127.0.0.1{at}/",
        f"https://127.0.0.1{at}#@api.bfl.ai/",
        f"https://127.0.0.1{at}?@api.bfl.ai/",
        f"https://127.0.0.1{at}\\@api.bfl.ai/",
        f"https://api.bfl.ai\\@127.0.0.1{at}/",
        f"https://api.bfl.ai\\.127.0.0.1{at}/",
        "https://user:password@api.bfl.ai/",
        "https://аpi.bfl.ai/",  # a Cyrillic first letter
        "https://api。bfl。ai/",
        "https://ａpi.bfl.ai/",
        "https://①②⑦.⓪.⓪.①/",
        "https://api.bfl.ai%00.evil.example/",
        "https://api.bfl.ai\r\nHost: evil.example/",
        "https://api.bfl.ai/\r\nX-Smuggled: 1",
        "https://api.bfl.ai /x",
        " https://api.bfl.ai/x",
        "https:/127.0.0.1/x",
        "https:///127.0.0.1/x",
        "//127.0.0.1/x@",
        f"file://127.0.0.1{at}/etc/passwd",
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/_x",
        "ftp://api.bfl.ai/x",
        "dict://127.0.0.1:11211/",
        "data:text/plain,x",
        "javascript:alert(1)",
        "https://",
        "https://[",
        "https://api.bfl.ai:99999/x",
        "https://api.bfl.ai:x/",
        "",
        "x" * 5000,
    ]


def test_no_hostile_address_is_ever_called():
    """Each is refused before a connection, although the resolver would lead all of them home."""

    async def story() -> None:
        async def home(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        async with listening() as listener:
            client = GuardedClient("https://api.bfl.ai", hosts=["*.bfl.ai"], resolve=home)
            urls = hostile_urls(listener.port)
            assert len(urls) >= 100
            for url in urls:
                for call in (client.download, client.get):
                    if url.startswith("/") and call == client.get:
                        continue  # a path below the base URL
                    error = await fails(call(url, **ROOM))
                    assert isinstance(error, NotSent), f"{url!r}: {error!r}"
            for listed in (
                "https://api.bfl.ai/x",
                "https://delivery-us1.bfl.ai/x?sig=1",
                "HTTPS://API.BFL.AI/x",
            ):
                error = await fails(client.download(listed, **ROOM))
                assert isinstance(error, Blocked), (
                    f"{listed}: the name is listed, its address is not: {error!r}"
                )
            assert listener.connections == 0

    asyncio.run(story())


@pytest.mark.parametrize(
    "url",
    ["https://api.bfl.ai/v1/x", "https://api.us1.bfl.ai:443/x?id=1", "https://delivery-eu1.bfl.ai/a/b.png"],
)
def test_a_listed_host_over_https_is_allowed(url):
    assert GuardedClient("https://api.bfl.ai", hosts=["*.bfl.ai"]).allows(url)


def listed(text: str) -> list[str]:
    return text.split()


PRIVATE = listed("""
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255 169.254.0.1
168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.8 192.0.0.170 192.0.2.1
192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255
:: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b:1::7f00:1 100::1
2001:db8::1 2002:7f00:1:: 2002:a00:1:: 2001:0:7f00:1:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254
fe80::1 fe80::1%eth0
fec0::1 ff02::1 ff0e::1 nonsense 1.2.3 0x7f.1
""")
PUBLIC = listed("""
1.1.1.1 8.8.8.8 93.184.216.34 2606:4700::1111 2a00:1450:4001::1 64:ff9b::808:808 ::ffff:8.8.8.8
""")


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_inside_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_on_the_internet_is_public(address):
    assert is_public(address)


class Internet(httpcore.AsyncNetworkBackend):
    """Stands in for the network: notes which address a connection goes to, and refuses it."""

    def __init__(self) -> None:
        self.called: list[str] = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.called.append(host)
        raise httpcore.ConnectError("nobody there")


def connect(network: VettedNetwork, host: str = "api.bfl.ai", port: int = 443) -> Exception:
    async def story() -> Exception:
        try:
            await network.connect_tcp(host, port)
        except Exception as error:
            return error
        raise AssertionError("connected")

    return asyncio.run(story())


def resolving(*answers: list[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    left = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        return left.pop(0)

    return resolve


def test_the_connection_goes_to_the_address_that_was_checked():
    """A rebinding name: public when first asked, this machine afterwards."""
    internet = Internet()
    network = VettedNetwork(resolving(["93.184.216.34"], ["127.0.0.1"]), below=internet)
    assert isinstance(connect(network), httpcore.ConnectError)
    assert internet.called == ["93.184.216.34"]
    assert isinstance(connect(network), Blocked)
    assert internet.called == ["93.184.216.34"]


def test_one_inside_address_among_public_ones_refuses_the_name():
    internet = Internet()
    assert isinstance(connect(VettedNetwork(resolving(["93.184.216.34", "::1"]), below=internet)), Blocked)
    assert internet.called == []


def test_every_checked_address_is_tried_in_turn():
    internet = Internet()
    connect(VettedNetwork(resolving(["2606:4700::1111", "1.1.1.1"]), below=internet))
    assert internet.called == ["2606:4700::1111", "1.1.1.1"]


def test_the_simulators_name_must_lead_to_this_machine():
    internet = Internet()
    network = VettedNetwork(resolving(["93.184.216.34"]), loopback=("localhost", 8000), below=internet)
    assert isinstance(connect(network, "localhost", 8000), Blocked)
    assert internet.called == []


def test_only_the_simulators_own_port_is_open_on_this_machine():
    async def story() -> None:
        async with listening() as simulator, listening() as other:
            client = GuardedClient(simulator.url)
            assert isinstance(await fails(client.download(f"{other.url}/x", **ROOM)), Blocked)
            assert isinstance(
                await fails(client.download(f"https://127.0.0.1:{other.port}/x", **ROOM)), Blocked
            )
            assert other.connections == 0

    asyncio.run(story())


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.bfl.ai", "http://10.0.0.1:8000", "https://10.0.0.1", "ftp://127.0.0.1", "", "http://",
        "http://simulator:8000", "https://user@api.bfl.ai", "http://127.0.0.1.nip.io",
    ],
)  # fmt: skip
def test_a_base_url_is_https_or_this_machine(base_url):
    with pytest.raises(Blocked):
        GuardedClient(base_url)


# -- a machine of one's own ---------------------------------------------------------------------

HOME = listed("""
127.0.0.1 127.9.9.9 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255 100.64.0.1
100.127.255.254 ::1 fd12:3456::1 fc00::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1
""")
METADATA = listed("""
169.254.169.254 169.254.170.2 fd00:ec2::254 fd20:ce::254 fd00:a9fe:a9fe::1 100.100.100.200 192.0.0.192
168.63.129.16 ::ffff:169.254.169.254 ::ffff:100.100.100.200 fe80::a9fe:a9fe fd00:ec2::254%eth0
""")
NOT_HOME = listed("""
0.0.0.0 :: 8.8.8.8 93.184.216.34 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.0.1 192.0.2.1
198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255 fe80::1 fec0::1 ff02::1 2606:4700::1111 64:ff9b::a00:1
2002:a00:1:: 2001:0:7f00:1:: ::10.0.0.1 ::ffff:8.8.8.8 fd12::1%eth0 nonsense 10.1 0x7f000001
""")


@pytest.mark.parametrize("address", HOME)
def test_an_address_at_home_is_home_and_not_public(address):
    assert is_home(address)
    assert not is_public(address)


@pytest.mark.parametrize("address", METADATA + NOT_HOME)
def test_an_address_elsewhere_is_not_home(address):
    assert not is_home(address)


@pytest.mark.parametrize("address", METADATA)
def test_where_clouds_hand_out_credentials_is_neither_home_nor_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:7860", "http://localhost:8188", "http://10.0.0.5:7860", "http://192.168.1.20",
        "https://10.0.0.5:8443", "http://[fd12::5]:7860", "http://[::1]:7860", "http://gpu:7860",
        "http://gpu-box.lan:8188/comfy", "http://my_comfy:8188", "http://3090box:8188",
        "https://relay.example:8443/mj", "http://host.docker.internal:8080",
    ],
)  # fmt: skip
def test_an_administrator_may_name_a_machine_of_the_team(base_url):
    assert GuardedClient(base_url, own=True).allows(f"{base_url}/x")


@pytest.mark.parametrize(
    "base_url",
    [
        *(f"http://[{each}]/" if ":" in each else f"http://{each}/" for each in METADATA),
        "http://8.8.8.8", "https://93.184.216.34", "http://0.0.0.0:7860", "http://[::]:7860", "http://0:7860",
        "http://2130706433:7860", "http://0x7f000001:7860", "http://0x7f.1:7860", "http://127.1:7860",
        "http://10.0.0.256", "http://user@10.0.0.5", "http://user:pass@gpu:7860", "ftp://10.0.0.5",
        "file:///etc/passwd", "http://", "", "http://-gpu", "http://gpu.", "http://gpu..lan",
    ],
)  # fmt: skip
def test_even_an_administrator_may_not_name_anything_else(base_url):
    with pytest.raises(Blocked):
        GuardedClient(base_url, own=True)


def test_a_machine_of_the_team_is_called_by_plain_http_on_its_port():
    async def story() -> None:
        async with server(ok(b"here")) as listener:
            answer = await GuardedClient(listener.url, own=True).get("/x", **ROOM)
            assert answer.body == b"here"

    asyncio.run(story())


def test_only_the_origin_that_was_named_is_open():
    """Another port of the same machine, another machine, the same by https: refused before a connection."""

    async def story() -> None:
        async def home(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        async with listening() as mine, listening() as other:
            client = GuardedClient(mine.url, hosts=["cdn.example.com"], own=True, resolve=home)
            elsewhere = [
                f"http://127.0.0.1:{other.port}/x",
                f"https://127.0.0.1:{mine.port}/x",
                f"http://localhost:{mine.port}/x",
                f"http://[::1]:{mine.port}/x",
                f"http://127.0.0.2:{mine.port}/x",
                f"http://10.0.0.1:{mine.port}/x",
                "http://169.254.169.254/latest/meta-data/",
                "http://cdn.example.com/x",
                f"https://cdn.example.com:{mine.port}/x",
                "https://cdn.example.com/x",  # listed, and its name leads home
                *hostile_urls(other.port),
            ]
            for url in elsewhere:
                if not url.startswith("/"):
                    error = await fails(client.download(url, **ROOM))
                    assert isinstance(error, NotSent), f"{url!r}: {error!r}"
            assert (mine.connections, other.connections) == (0, 0)

    asyncio.run(story())


def test_a_machine_of_the_team_redirects_nowhere():
    async def story() -> None:
        async with listening() as target:
            redirect = f"HTTP/1.1 302 Go\r\nLocation: {target.url}/\r\nContent-Length: 0\r\n\r\n"
            async with server(redirect.encode()) as listener:
                assert isinstance(
                    await fails(GuardedClient(listener.url, own=True).get("/x", **ROOM)), Redirected
                )
            assert target.connections == 0

    asyncio.run(story())


def test_a_machine_of_the_team_has_the_same_bounds():
    async def story() -> None:
        async with server(ok(b"x" * 2000)) as listener:
            client = GuardedClient(listener.url, own=True)
            assert isinstance(await fails(client.get("/x", deadline_s=5, max_bytes=1000)), TooLarge)

    asyncio.run(story())


def own_network(*answers: list[str], scheme: str = "http") -> tuple[VettedNetwork, Internet]:
    internet = Internet()
    return VettedNetwork(resolving(*answers), own=(scheme, "gpu.lan", 7860), below=internet), internet


@pytest.mark.parametrize("address", HOME)
def test_the_name_of_the_teams_machine_may_lead_home(address):
    network, internet = own_network([address])
    assert isinstance(connect(network, "gpu.lan", 7860), httpcore.ConnectError)
    assert internet.called == [address]


@pytest.mark.parametrize(
    "answers",
    [
        *([address] for address in (*METADATA, "0.0.0.0", "fe80::1", "224.0.0.1", "8.8.8.8")),
        ["10.0.0.1", "169.254.169.254"],
        ["10.0.0.1", "93.184.216.34"],
        ["93.184.216.34", "127.0.0.1"],
    ],
)
def test_the_name_of_the_teams_machine_may_lead_nowhere_else_by_plain_http(answers):
    network, internet = own_network(answers)
    assert isinstance(connect(network, "gpu.lan", 7860), Blocked)
    assert internet.called == []


def test_by_https_the_teams_machine_may_be_on_the_internet_but_not_in_both_places():
    network, internet = own_network(
        ["93.184.216.34"], ["10.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["169.254.169.254"], scheme="https"
    )
    for _ in range(2):
        assert isinstance(connect(network, "gpu.lan", 7860), httpcore.ConnectError)
    for _ in range(2):
        assert isinstance(connect(network, "gpu.lan", 7860), Blocked)
    assert internet.called == ["93.184.216.34", "10.0.0.1"]


@pytest.mark.parametrize(("host", "port"), [("gpu.lan", 7861), ("gpu.lan", 443), ("other.lan", 7860)])
def test_no_other_host_or_port_may_lead_home(host, port):
    network, internet = own_network(["10.0.0.1"])
    assert isinstance(connect(network, host, port), Blocked)
    assert internet.called == []


def test_without_that_word_of_an_administrator_nothing_at_home_is_called():
    for base_url in ("http://10.0.0.5:7860", "http://gpu:7860", "https://10.0.0.5", "http://[fd12::5]:7860"):
        with pytest.raises(Blocked):
            GuardedClient(base_url)


def test_a_proxy_in_the_environment_is_ignored(monkeypatch):
    async def story() -> None:
        async with listening() as proxy, server(ok(b"direct")) as listener:
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            answer = await GuardedClient(listener.url).get("/x", **ROOM)
            assert answer.body == b"direct"
            assert proxy.connections == 0

    asyncio.run(story())


def test_a_redirect_is_an_error_and_its_target_is_not_called():
    async def story() -> None:
        async with listening() as target:
            for status in (301, 302, 303, 307, 308):
                redirect = f"HTTP/1.1 {status} Go\r\nLocation: {target.url}/\r\nContent-Length: 0\r\n\r\n"
                async with server(redirect.encode()) as listener:
                    error = await fails(GuardedClient(listener.url).get("/x", **ROOM))
                    assert isinstance(error, Redirected)
                    assert error.status == status
            assert target.connections == 0

    asyncio.run(story())


# -- TLS ----------------------------------------------------------------------------------------


def certificate(name: str, folder) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS context for `name`, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    trusting = ssl.create_default_context(cafile=str(path))
    return serving, trusting


async def to_this_machine(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def test_tls_checks_the_name_although_the_connection_goes_to_an_address(tmp_path):
    serving, trusting = certificate("localhost", tmp_path)
    names: list[str | None] = []
    serving.sni_callback = lambda _, name, __: names.append(name)

    async def story() -> None:
        handler, owner = answering(ok(b"safe"))
        async with listening(handler, tls=serving) as listener:
            owner.append(listener)
            client = GuardedClient(
                f"https://localhost:{listener.port}", resolve=to_this_machine, tls=trusting
            )
            assert (await client.get("/x", **ROOM)).body == b"safe"
            await client.aclose()
        assert names == ["localhost"]

    asyncio.run(story())


def test_a_certificate_for_another_name_sends_nothing(tmp_path):
    serving, trusting = certificate("other.example", tmp_path)

    async def story() -> None:
        async with listening(tls=serving) as listener:
            client = GuardedClient(
                f"https://localhost:{listener.port}", resolve=to_this_machine, tls=trusting
            )
            error = await fails(client.post("/pay", json_body={"prompt": "x"}, **ROOM))
            assert isinstance(error, NotSent)
            assert "certificate" in str(error).lower()
            assert listener.requests == []

    asyncio.run(story())


# -- what left ----------------------------------------------------------------------------------


def test_a_refused_connection_sent_nothing():
    async def story() -> None:
        async with listening() as listener:
            url = listener.url
        assert isinstance(await fails(GuardedClient(url).post("/pay", json_body={}, **ROOM)), NotSent)

    asyncio.run(story())


def test_a_name_that_does_not_resolve_sent_nothing():
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    client = GuardedClient("https://api.bfl.ai", resolve=nowhere)
    assert isinstance(asyncio.run(fails(client.post("/pay", json_body={}, **ROOM))), NotSent)


def test_a_deadline_before_the_connection_stands_sent_nothing():
    async def slow(host: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    client = GuardedClient("https://api.bfl.ai", resolve=slow)
    error = asyncio.run(fails(client.post("/pay", json_body={}, deadline_s=0.05, max_bytes=10)))
    assert isinstance(error, NotSent)


@pytest.mark.parametrize("key", ["sk-1\r\nX-Smuggled: 1", "sk-\N{BULLET}\N{BULLET}", "sk-\x00"])
def test_a_header_that_cannot_be_sent_sends_nothing(key):
    async def story() -> None:
        async with listening() as listener:
            error = await fails(
                GuardedClient(listener.url).post("/pay", json_body={}, headers={"authorization": key}, **ROOM)
            )
            assert isinstance(error, NotSent)
            assert listener.connections == 0

    asyncio.run(story())


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nonly",
        b"this is not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\nnot gzip at.",
    ],
    ids=["silence", "half a head", "half a body", "half a chunk", "not HTTP", "damaged gzip"],
)
def test_an_answer_that_breaks_off_is_cut_and_the_request_left_once(said):
    async def story() -> None:
        async with server(said) as listener:
            error = await fails(GuardedClient(listener.url).post("/pay", json_body={"n": 1}, **ROOM))
            assert isinstance(error, Cut), repr(error)
            assert len(listener.requests) == 1

    asyncio.run(story())


def test_a_kept_connection_that_breaks_under_the_next_request_is_cut_and_not_sent_again():
    """The dangerous case: a client that silently retries here pays twice."""

    async def story() -> None:
        async with listening() as listener:

            async def one_answer_then_hang_up(reader, writer):
                await listener.request(reader)
                writer.write(ok(b"first"))
                await listener.request(reader)

            listener.handler = one_answer_then_hang_up
            client = GuardedClient(listener.url)
            assert (await client.post("/pay", json_body={}, **ROOM)).body == b"first"
            assert isinstance(await fails(client.post("/pay", json_body={}, **ROOM)), Cut)
            assert (listener.connections, len(listener.requests)) == (1, 2)

    asyncio.run(story())


def test_a_kept_connection_that_the_server_closed_is_replaced_before_anything_is_sent():
    async def story() -> None:
        async with server(ok(b"answer")) as listener:
            client = GuardedClient(listener.url)
            for _ in range(3):
                assert (await client.post("/pay", json_body={}, **ROOM)).body == b"answer"
                await asyncio.sleep(0.05)  # the server's goodbye arrives
            assert (listener.connections, len(listener.requests)) == (3, 3)

    asyncio.run(story())


def test_a_slow_drip_ends_at_the_deadline_of_the_whole_call():
    dripped = 0

    async def story() -> None:
        async with listening() as listener:

            async def drip(reader, writer):
                nonlocal dripped
                await listener.request(reader)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while True:
                    writer.write(b".")
                    dripped += 1
                    await writer.drain()
                    await asyncio.sleep(0.02)

            listener.handler = drip
            async with asyncio.timeout(60):
                call = GuardedClient(listener.url).get("/x", deadline_s=0.3, max_bytes=1_000_000)
                assert isinstance(await fails(call), Deadline)

    asyncio.run(story())
    # In 0.3 s fifteen, and on a slow machine fewer: both ends are of one loop.
    assert dripped < 60


def test_a_call_that_is_cancelled_leaves_no_connection_behind():
    async def story() -> None:
        gone = asyncio.Event()
        async with listening() as listener:

            async def never(reader, writer):
                await listener.request(reader)
                await reader.read()
                gone.set()

            listener.handler = never
            client = GuardedClient(listener.url)
            call = asyncio.create_task(client.get("/x", **ROOM))
            while not listener.requests:
                await asyncio.sleep(0.005)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.wait_for(gone.wait(), 30)

    asyncio.run(story())


# -- how much -----------------------------------------------------------------------------------


def test_an_announced_answer_over_the_cap_is_not_read():
    async def story() -> None:
        async with server(ok(b"x" * 2000), then="wait") as listener:
            error = await fails(GuardedClient(listener.url).get("/x", deadline_s=5, max_bytes=1999))
            assert isinstance(error, TooLarge)
            assert error.status == 200
            assert (
                await fails(GuardedClient(listener.url).get("/x", deadline_s=5, max_bytes=0))
            ).status == 200

    asyncio.run(story())


def test_an_endless_answer_ends_at_the_cap():
    async def story() -> None:
        async with listening() as listener:

            async def endless(reader, writer):
                await listener.request(reader)
                writer.write(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n")
                while True:
                    writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                    await writer.drain()

            listener.handler = endless
            error = await fails(GuardedClient(listener.url).get("/x", deadline_s=5, max_bytes=100_000))
            assert isinstance(error, TooLarge)
            assert error.status == 503

    asyncio.run(story())


def test_a_gzip_bomb_ends_at_the_cap():
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 60_000

    async def story() -> None:
        async with server(ok(bomb, "Content-Encoding: gzip")) as listener:
            error = await fails(GuardedClient(listener.url).get("/x", deadline_s=5, max_bytes=1_000_000))
            assert isinstance(error, TooLarge)

    asyncio.run(story())


def test_an_answer_of_exactly_the_cap_passes_plain_and_squeezed():
    body = bytes(range(256)) * 100

    async def story() -> None:
        async with server(ok(body)) as listener:
            answer = await GuardedClient(listener.url).get("/x", deadline_s=5, max_bytes=len(body))
            assert answer.body == body
        async with server(ok(gzip.compress(body), "Content-Encoding: gzip")) as listener:
            answer = await GuardedClient(listener.url).get("/x", deadline_s=5, max_bytes=len(body))
            assert answer.body == body

    asyncio.run(story())


def test_a_squeezed_answer_that_ends_early_is_cut():
    half = gzip.compress(bytes(range(256)) * 100)[:200]

    async def story() -> None:
        async with server(ok(half, "Content-Encoding: gzip")) as listener:
            assert isinstance(await fails(GuardedClient(listener.url).get("/x", **ROOM)), Cut)

    asyncio.run(story())


# -- plain use ----------------------------------------------------------------------------------


def test_a_request_carries_what_it_was_given_and_asks_for_no_compression():
    async def story() -> bytes:
        async with server(ok(b"{}", "Set-Cookie: a=b", "X-Request-Id: r1"), ok(b"{}")) as listener:
            client = GuardedClient(f"{listener.url}/openai/")
            answer = await client.post(
                "/v1/x?a=b", json_body={"prompt": "Äpfel"}, headers={"x-key": "k1"}, **ROOM
            )
            assert answer.headers["x-request-id"] == "r1"
            await client.download(f"{listener.url}/result", **ROOM)
            assert b"x-key" not in listener.requests[1].lower()
            assert b"cookie" not in listener.requests[1].lower()
            return listener.requests[0]

    head, body = asyncio.run(story()).split(b"\r\n\r\n")
    assert head.startswith(b"POST /openai/v1/x?a=b HTTP/1.1\r\n")
    assert b"accept-encoding: identity" in head.lower()
    assert b"x-key: k1" in head.lower()
    assert body.decode() == '{"prompt": "Äpfel"}'


def test_bytes_leave_as_they_are_under_their_own_type():
    async def story() -> bytes:
        async with server(ok(b"{}")) as listener:
            await GuardedClient(listener.url).post_bytes(
                "/form", content=b"--x\x00\xff", media_type="multipart/form-data; boundary=x", **ROOM
            )
            return listener.requests[0]

    head, body = asyncio.run(story()).split(b"\r\n\r\n")
    assert b"content-type: multipart/form-data; boundary=x\r\n" in head.lower()
    assert b"content-length: 5" in head.lower()
    assert body == b"--x\x00\xff"


class KeepAlive(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"here")

    def log_message(self, *_: object) -> None:
        pass


def test_one_client_serves_several_event_loops():
    """A sync view brings a new loop with each call; a connection of another loop must not be used."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), KeepAlive) as listener:
        listener.daemon_threads = True
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        client = GuardedClient(f"http://127.0.0.1:{listener.server_address[1]}")

        async def two_calls() -> list[bytes]:
            return [(await client.get("/x", **ROOM)).body for _ in range(2)]

        with ThreadPoolExecutor(4) as threads:
            calls = [threads.submit(asyncio.run, two_calls()) for _ in range(12)]
            assert [call.result() for call in calls] == [[b"here", b"here"]] * 12
        listener.shutdown()


def test_five_hundred_calls_at_once_share_no_connection_and_all_return():
    async def story() -> None:
        waiting = asyncio.Event()
        async with listening() as listener:

            async def hold(reader, writer):
                await listener.request(reader)
                if len(listener.requests) == 500:
                    waiting.set()
                await waiting.wait()
                writer.write(ok(b"done"))
                await writer.drain()

            listener.handler = hold
            client = GuardedClient(listener.url)
            calls = [client.post("/x", json_body={"n": n}, deadline_s=30, max_bytes=100) for n in range(500)]
            answers = await asyncio.gather(*calls)
            assert {answer.body for answer in answers} == {b"done"}
            assert listener.connections == 500
            await client.aclose()

    asyncio.run(story())


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 200_000, b'{"a":' * 100_000, b"NaN", b'{"cost": Infinity}', b"\xff\xfe", b"9" * 9000],
)
def test_a_document_that_cannot_be_read_safely_is_not_json(body):
    with pytest.raises(NotJson):
        Answer(200, {}, body).json()


def test_fractions_in_json_stay_exact():
    document = Answer(200, {}, b'{"cost": 4.8}').json()
    assert str(document["cost"]) == "4.8"
    assert document["cost"] * 10 == 48


def test_the_private_list_covers_every_block_we_know_of():
    assert len(PRIVATE) + len(PUBLIC) >= 55
    assert all(ipaddress.ip_address(address) for address in PUBLIC)
