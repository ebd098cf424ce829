"""The one guarded way out: what any adapter may say to the outside, and to whom.

Each call goes only to hosts on the adapter's list, by https on port 443, to an address that was checked
after the name was resolved, without redirects, within a byte cap and one deadline for the whole call.
A failure says whether a byte of the request can have left: money depends on that.

Connections are httpcore's, kept by ourselves: its pool, and so httpx's client, looks at every connection
for every request, measured at 500 in flight as 19.6 ms of CPU per call against 0.5 ms here. httpx would
also log whole URLs, signed queries included.
"""

import asyncio
import ipaddress
import json
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from weakref import WeakKeyDictionary

import anyio._backends._asyncio  # noqa: F401 - read now, not by the loop in its first paid call
import httpcore
import httpx

from packshot.kernel import faults
from packshot.kernel.errors import PackshotError
from packshot.kernel.faults import fault_point

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Origin = tuple[str, str, int]  # scheme, host, port
_HalfRead = Callable[[], None]  # called with each piece of an answer's body
_Idle = dict[_Origin, list[httpcore.AsyncHTTPConnection]]

CONNECT_TIMEOUT_S = 10.0
MOST_ERROR_BYTES = 1_000_000
# Servers close idle connections after 5 s and more (uvicorn 5, most proxies 60). Leaving before them means
# that a paid request does not meet a connection which is just being closed, which would be `Cut`.
KEEP_IDLE_S = 3.0
KEEP_IDLE_PER_ORIGIN = 600
_HOST_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
# Names on a local network may be one word. What ends in a number is an address, in some spelling.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_OWN_NAME = re.compile(rf"(?:{_LABEL}\.)*(?!0x[0-9a-f]*$)(?=[0-9_-]*[a-z]){_LABEL}")
_PORTS = {"http": 80, "https": 443}


class CallFailed(PackshotError):
    """No complete answer came."""


class NotSent(CallFailed):
    """Certain: not one byte of the request left. Nothing can have been charged."""


class Blocked(NotSent):
    """The address is not one this client may talk to."""


class Cut(CallFailed):
    """The request left, wholly or in part, and the connection broke before the answer was complete."""


class Deadline(CallFailed):
    """The request left, wholly or in part, and the answer was not complete in time."""


class TooLarge(CallFailed):
    """The answer is larger than this call allows. `status` is its HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Redirected(CallFailed):
    """The answer points elsewhere, and this client never follows. `status` is its HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotOk(CallFailed):
    """A complete answer that is an error where a file was asked for."""

    def __init__(self, answer: "Answer") -> None:
        super().__init__(f"the answer is {answer.status}")
        self.answer = answer


class NotJson(ValueError):
    """The body is not one JSON document that can be read safely."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """The body's JSON document, numbers with a fraction as exact Decimals. Raises NotJson."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=_refuse_constant)
        # RecursionError: a hundred kilobytes of `[` are a valid start of a document.
        except (ValueError, RecursionError) as error:
            raise NotJson(f"the answer is not JSON: {type(error).__name__}") from error


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


class GuardedClient:
    """Calls to one provider: its base URL's origin and the hosts on its list, nobody else.

    `hosts` are exact names or `*.suffix`. A loopback base URL (the simulator) may be plain http on any port.

    `own`: an administrator named this very address for a machine of the team's. Then its origin, and nothing
    else, may be on the local network: by plain http, on any port, at a private address. What is on the
    internet is still called by https.
    """

    def __init__(
        self,
        base_url: str,
        *,
        hosts: Sequence[str] = (),
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        own: bool = False,
    ) -> None:
        base = _parse(base_url)
        self.base_url = base_url.rstrip("/")
        self._base_origin = _origin(base)
        scheme, host, port = self._base_origin
        loopback = (host, port) if _names_loopback(host) and not own else None
        if own:
            _check_own(base)
        elif scheme != "https" and not (loopback and scheme == "http"):
            raise Blocked(f"The base URL {base_url!r} must be https, unless it is this machine.")
        elif not loopback and not _HOST_NAME.fullmatch(host):
            raise Blocked(f"The base URL {base_url!r} must name a host, not an address.")
        self._hosts = tuple(hosts)
        self._network = VettedNetwork(
            resolve or resolve_by_dns, loopback=loopback, own=self._base_origin if own else None
        )
        self._tls = tls or _trusting_known_authorities()
        # By event loop, since a connection belongs to the one that opened it: each call from a sync view
        # brings its own.
        self._idle: WeakKeyDictionary[asyncio.AbstractEventLoop, _Idle] = WeakKeyDictionary()

    async def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, deadline_s: float, max_bytes: int
    ) -> Answer:
        """What `url` answers; a path is taken below the base URL."""
        return await self._call("GET", url, headers or {}, None, deadline_s, max_bytes, _look_half_read)

    async def post(
        self,
        url: str,
        *,
        json_body: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
        deadline_s: float,
        max_bytes: int,
    ) -> Answer:
        """The answer to one POST of a JSON document, which is sent at most once."""
        content = json.dumps(json_body, ensure_ascii=False, allow_nan=False).encode()
        return await self.post_bytes(
            url,
            content=content,
            media_type="application/json",
            headers=headers,
            deadline_s=deadline_s,
            max_bytes=max_bytes,
        )

    async def post_bytes(
        self,
        url: str,
        *,
        content: bytes,
        media_type: str,
        headers: Mapping[str, str] | None = None,
        deadline_s: float,
        max_bytes: int,
    ) -> Answer:
        """The answer to one POST of these bytes, such as a form (`multipart.py`): sent at most once."""
        given = {"content-type": media_type, **(headers or {})}
        return await self._call("POST", url, given, content, deadline_s, max_bytes, _answer_half_read)

    async def download(self, url: str, *, deadline_s: float, max_bytes: int) -> Answer:
        """What a result link holds. No header can be given: a key never travels to a delivery host."""
        return await self._call("GET", url, {}, None, deadline_s, max_bytes, _download_half_read)

    async def delete(
        self, url: str, *, headers: Mapping[str, str] | None = None, deadline_s: float, max_bytes: int
    ) -> Answer:
        """What `url` answers to a DELETE; a path is taken below the base URL."""
        return await self._call("DELETE", url, headers or {}, None, deadline_s, max_bytes, _look_half_read)

    async def lines(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        silence_s: float,
        max_line_bytes: int,
    ) -> AsyncIterator[bytes]:
        """The lines of what `url` holds, one at a time, however long it is: one line is held in memory.

        Raises as `get` does; Deadline when nothing came for `silence_s` seconds, and NotOk for an answer that
        is none of 200.
        """
        target = self._checked(self.base_url + url if url.startswith("/") else url)
        request = httpcore.Request(
            "GET",
            httpcore.URL(
                scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
            ),
            headers=_wire_headers(target, headers or {}, None),
            extensions={"timeout": {"connect": CONNECT_TIMEOUT_S}},
        )
        # A connection of its own: whoever reads may stop in the middle.
        async with httpcore.AsyncHTTPConnection(
            request.url.origin, ssl_context=self._tls, network_backend=self._network
        ) as connection:
            try:
                async with asyncio.timeout(silence_s):
                    response = await connection.handle_async_request(request)
                    if response.status != 200:
                        raise NotOk(await _read(response, MOST_ERROR_BYTES, _look_half_read))
                rest, begun = bytearray(), 0
                pieces = response.aiter_stream().__aiter__()
                while True:
                    try:
                        async with asyncio.timeout(silence_s):
                            piece = await anext(pieces)
                    except StopAsyncIteration:
                        break
                    rest += piece
                    # Looked for in what is new only: a line may come in thousands of pieces.
                    while (end := rest.find(b"\n", begun)) >= 0:
                        line = bytes(rest[:end])
                        del rest[: end + 1]
                        begun = 0
                        if line.strip():
                            yield line
                    begun = len(rest)
                    if len(rest) > max_line_bytes:
                        raise TooLarge(f"A line is larger than {max_line_bytes:,} bytes.", status=200)
                if rest.strip():
                    yield bytes(rest)
            except TimeoutError as error:
                raise Deadline(f"nothing came from {target.host} for {silence_s:g} s") from error
            except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as e:
                raise Cut(f"{target.host}: {str(e) or type(e).__name__}") from e

    def allows(self, url: str) -> bool:
        """Whether `url` is one that this client would call, before its name is resolved."""
        try:
            self._checked(url)
        except Blocked:
            return False
        return True

    def at_base(self, url: str) -> bool:
        """Whether `url` is at the origin of the base URL itself, or a path below it."""
        return url.startswith("/") or (self.allows(url) and _origin(_parse(url)) == self._base_origin)

    async def aclose(self) -> None:
        """Close the idle connections of the running event loop."""
        for idle in self._idle.pop(asyncio.get_running_loop(), {}).values():
            for connection in idle:
                await connection.aclose()

    async def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        deadline_s: float,
        max_bytes: int,
        half_read: _HalfRead,
    ) -> Answer:
        target = self._checked(self.base_url + url if url.startswith("/") else url)
        sent = False

        async def note(event: str, _: Mapping[str, object]) -> None:
            # httpcore tells this before it writes the first byte of *this* request, on a new or a kept
            # connection: until then nothing left, from then on something may have.
            nonlocal sent
            sent = sent or event.endswith("send_request_headers.started")
            if content is not None and event.endswith("send_request_headers.complete"):
                fault_point("request.headers_sent")

        request = httpcore.Request(
            method,
            httpcore.URL(
                scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
            ),
            headers=_wire_headers(target, headers, content),
            # Whole, in one write, except where a test wants to stand in its middle.
            content=_halves(content) if content is not None and faults.armed() else content,
            extensions={"timeout": {"connect": CONNECT_TIMEOUT_S}, "trace": note},
        )
        idle = self._idle_at(_origin(target))
        if content is not None:
            fault_point("call.connecting")
        connection = await _kept(idle) or httpcore.AsyncHTTPConnection(
            request.url.origin,
            ssl_context=self._tls,
            keepalive_expiry=KEEP_IDLE_S,
            network_backend=self._network,
        )
        try:
            async with asyncio.timeout(deadline_s):
                return await _exchange(connection, request, max_bytes, half_read)
        except TimeoutError as error:
            what = f"no complete answer from {target.host} within {deadline_s:g} s"
            raise (Deadline if sent else NotSent)(what) from error
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            what = f"{target.host}: {str(error) or type(error).__name__}"
            raise (Cut if sent else NotSent)(what) from error
        finally:
            await _put_back(idle, connection)

    def _idle_at(self, origin: _Origin) -> list[httpcore.AsyncHTTPConnection]:
        return self._idle.setdefault(asyncio.get_running_loop(), {}).setdefault(origin, [])

    def _checked(self, url: str) -> httpx.URL:
        """`url` parsed once, by the parser whose result is sent. Raises Blocked."""
        parsed = _parse(url)
        scheme, host, port = origin = _origin(parsed)
        if origin == self._base_origin:
            return parsed
        if (scheme, port) != ("https", 443):
            raise Blocked(f"{_shown(parsed)} is not https on port 443.")
        if not _HOST_NAME.fullmatch(host) or not any(_matches(host, pattern) for pattern in self._hosts):
            raise Blocked(f"{_shown(parsed)} is not on this provider's list of hosts.")
        return parsed


@cache
def _trusting_known_authorities() -> ssl.SSLContext:
    """One for all clients of a process: each takes 40 ms to make, and none changes it."""
    return httpx.create_ssl_context(trust_env=False)


async def _exchange(
    connection: httpcore.AsyncHTTPConnection, request: httpcore.Request, max_bytes: int, half_read: _HalfRead
) -> Answer:
    response = await connection.handle_async_request(request)
    try:
        return await _read(response, max_bytes, half_read)
    finally:
        await response.aclose()


def _look_half_read() -> None:
    """Nobody has to know: a look is free."""


def _answer_half_read() -> None:
    fault_point("answer.half_read")


def _download_half_read() -> None:
    fault_point("download.half_read")


async def _halves(content: bytes) -> AsyncIterator[bytes]:
    middle = len(content) // 2
    yield content[:middle]
    fault_point("request.half_sent")
    yield content[middle:]


async def _kept(idle: list[httpcore.AsyncHTTPConnection]) -> httpcore.AsyncHTTPConnection | None:
    """A kept connection that is still alive, the one used last."""
    while idle:
        connection = idle.pop()
        if not connection.has_expired():
            return connection
        await connection.aclose()
    return None


async def _put_back(
    idle: list[httpcore.AsyncHTTPConnection], connection: httpcore.AsyncHTTPConnection
) -> None:
    if connection.is_idle() and not connection.is_closed() and len(idle) < KEEP_IDLE_PER_ORIGIN:
        idle.append(connection)
    else:
        await connection.aclose()
    # The oldest lie in front; looking at one per call is enough to keep up.
    if idle and idle[0].has_expired():
        await idle.pop(0).aclose()


def _parse(url: str) -> httpx.URL:
    # Browsers, libraries and resolvers disagree about these characters; no real link of ours has them.
    if not url.isascii() or not url.isprintable() or any(character in url for character in ' \\"<>^`{|}'):
        raise Blocked("The address has characters that do not belong in one.")
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError) as error:
        raise Blocked(f"The address cannot be read: {error}") from error
    if parsed.scheme not in _PORTS or not host:
        raise Blocked("The address is not a web address.")
    if parsed.userinfo:
        raise Blocked("The address carries a user name.")
    return parsed


def _check_own(base: httpx.URL) -> None:
    """Refuse at once what cannot be the address of an own machine. A name is looked up when it is called."""
    _, host, _ = _origin(base)
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        if not _OWN_NAME.fullmatch(host):
            raise Blocked(f"{_shown(base)} is neither a name nor an address.") from None
        return
    if not is_home(address):
        raise Blocked(f"{_shown(base)} is not on a local network. On the internet, name a host.")


def _origin(url: httpx.URL) -> _Origin:
    return url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]


def _shown(url: httpx.URL) -> str:
    """The address for a message: without path and query, which may be secrets."""
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _wire_headers(
    target: httpx.URL, headers: Mapping[str, str], content: bytes | None
) -> list[tuple[bytes, bytes]]:
    fields = {
        "host": target.netloc.decode("ascii"),
        "accept": "*/*",
        # An unasked-for gzip is still opened, within the cap (`_read`).
        "accept-encoding": "identity",
        "user-agent": "packshot",
        **headers,
    }
    if content is not None:
        fields["content-length"] = str(len(content))
    for name, value in fields.items():
        if not value.isascii() or not value.isprintable():
            raise NotSent(f"The header {name} holds characters that cannot be sent.")
    return [(name.encode(), value.encode()) for name, value in fields.items()]


async def _read(response: httpcore.Response, max_bytes: int, half_read: _HalfRead) -> Answer:
    """The whole answer, at most `max_bytes` on the wire and again after decompression."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if 300 <= response.status < 400:
        raise Redirected(f"The answer is a redirect ({response.status}).", status=response.status)
    too_large = TooLarge(f"The answer is larger than {max_bytes:,} bytes.", status=response.status)
    if int(headers.get("content-length", "0").split(",")[0]) > max_bytes:
        raise too_large
    squeezed = headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate")
    inflate = zlib.decompressobj(wbits=47) if squeezed else None
    body, on_wire = bytearray(), 0
    async for chunk in response.aiter_stream():
        on_wire += len(chunk)
        half_read()
        if inflate:
            try:
                chunk = inflate.decompress(chunk, max_bytes - len(body) + 1)
            except zlib.error as error:
                raise Cut(f"The compressed answer is damaged: {error}") from error
        body += chunk
        if max(on_wire, len(body)) > max_bytes:
            raise too_large
    if inflate and not inflate.eof:
        raise Cut("The compressed answer ended early.")
    return Answer(response.status, headers, bytes(body))


class VettedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, never to a name: a second look-up could answer differently.

    `loopback` is the one host and port that may, and must, be on this machine. `own` is the one origin that
    may be on the local network.
    """

    def __init__(
        self,
        resolve: Resolver,
        *,
        loopback: tuple[str, int] | None = None,
        own: _Origin | None = None,
        below: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._resolve = resolve
        self._loopback = loopback
        self._own = own
        self._below = below or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._vetted(host, port)
        failure: Exception | None = None
        for address in addresses:
            try:
                return await self._below.connect_tcp(
                    address, port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def _vetted(self, host: str, port: int) -> list[str]:
        try:
            found = [str(ipaddress.ip_address(host))]
        except ValueError:
            try:
                found = list(await self._resolve(host, port))
            except OSError as error:
                raise httpcore.ConnectError(f"{host} cannot be resolved: {error}") from error
        if (host, port) == self._loopback:
            wrong = [address for address in found if not ipaddress.ip_address(address).is_loopback]
        elif self._own and (host, port) == self._own[1:] and not all(map(is_public, found)):
            wrong = [address for address in found if not is_home(address)]
        else:
            wrong = [address for address in found if not is_public(address)]
        # One bad address among good ones is how a rebinding attack looks, so all must be good.
        if wrong:
            raise Blocked(f"{host} leads to {wrong[0]}, which this machine must not call.")
        if self._own and self._own == ("http", host, port) and not all(map(is_home, found)):
            raise Blocked(f"{host} is on the internet, and is called by https only.")
        return found


async def resolve_by_dns(host: str, port: int) -> Sequence[str]:
    """Every address of `host`, in the order the system prefers them."""
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answers))


def is_public(address: str) -> bool:
    """Whether `address` is on the open internet, also when wrapped in an IPv6 transition form."""
    try:
        inner = _unwrapped(ipaddress.ip_address(address))
    except ValueError:
        return False
    return all(_is_open(ip) for ip in inner)


def is_home(address: str) -> bool:
    """Whether `address` is this machine, or on a private network and not one that hands out credentials."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id:
            return False
        ip = ip.ipv4_mapped or ip
    return any(ip in block for block in _HOME) and ip not in _METADATA


_HOME = [
    ipaddress.ip_network(block)
    for block in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # shared space: private networks laid over the internet use it
        "::1/128",
        "fc00::/7",
    )
]
# Where clouds tell a machine its keys, as far as it lies in these blocks (Alibaba, AWS, Google, Linode). The
# best known one, 169.254.169.254, is link-local and so in none of them.
_METADATA = [
    ipaddress.ip_address(each)
    for each in ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "fd00:a9fe:a9fe::1")
]

# What `ipaddress` calls global although no host of the internet lives there (measured on 3.11.7): protocol
# assignments, the dead 6to4 relays, documentation, the inside of a cloud (Azure); and any IPv6 outside the
# one block in use, such as the old site-local addresses and the local form of NAT64.
_SPECIAL = [
    ipaddress.ip_network(block)
    for block in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20")
]
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _is_open(ip: _Address) -> bool:
    if not ip.is_global or ip.is_multicast or any(ip in block for block in _SPECIAL):
        return False
    return ip.version == 4 or ip in _GLOBAL_UNICAST


def _unwrapped(address: _Address) -> list[_Address]:
    """The addresses that packets to `address` may end at. Python calls the wrappings below global."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [low]
    if address.sixtofour:
        return [address.sixtofour]
    if address.teredo:
        return list(address.teredo)
    if int(address) >> 32 == 0:  # IPv4-compatible, ::a.b.c.d, long deprecated
        return [low]
    return [address]


def _names_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
