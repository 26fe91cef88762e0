"""The contracts between the gateway and a machine. A board binds each to something concrete
(board/*.py).

The classes are structural: whatever has these methods fits. Times are integers: milliseconds for
durations and ticks, seconds since 1970-01-01 UTC for dates. All are safe to use from one asyncio
loop only.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Protocol, TypeVar

    T = TypeVar("T")
else:
    Protocol = object


class PortError(Exception):
    """A port could not do what was asked; the text says what was expected and what came."""


class CryptoError(PortError):
    """A tag or signature is wrong, or a key is malformed. Never holds key material."""


class StorageFailed(PortError):
    """The flash does not give what is needed amid a conversation, where an OSError would be one of
    the path."""


class ModemError(PortError):
    """A frame was not accepted for sending. Subclasses say why."""


class Busy(ModemError):
    """The modem's window is full; try again after the next TxDone."""


class ModemGone(OSError):
    """The modem does not answer, or its line is lost: that says nothing of the node."""


class ModemRestarted(ModemGone):
    """It began anew, and has forgotten what it was to send."""


class TooLong(ModemError):
    """The data exceeds the modem's MTU for this kind of destination."""


class NoRoute(ModemError):
    """The modem knows no node with this address (not joined, left, or never seen)."""


class BadAddress(NoRoute):
    """The address cannot be one of this medium, or no such host is known."""


class Unreachable(NoRoute):
    """The network says that there is no way to the address, or nothing answers there."""


class PortClosed(NoRoute):
    """What is at the address refuses the connection."""


class Misbehaves(NoRoute):
    """The node floods, or what it sends is none of what is spoken there: it is not listened to."""


class DutyCycle(ModemError):
    """The radio budget is spent; `wait_ms` tells when there is some again."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__("duty cycle spent, next frame in %d ms" % wait_ms)
        self.wait_ms = wait_ms


class Clock(Protocol):
    def ticks_ms(self) -> int:
        """Monotonic, never wraps, starts anywhere."""

    def unix_time(self) -> int:
        """Seconds since 1970 UTC; 0 while nobody has set the clock."""

    def set_unix_time(self, seconds: int) -> None:
        """Correct the date (never the ticks)."""

    async def sleep_ms(self, duration: int) -> None: ...

    async def wait_for_ms(self, awaitable: Awaitable[T], duration: int) -> T:
        """Await with a limit > 0; raises asyncio.TimeoutError and cancels the awaitable when it
        passes."""


class BytePort(Protocol):
    """A serial line, or a TCP connection standing in for one. One reader, one writer."""

    async def read(self) -> bytes:
        """At least one byte, as soon as there is any, at most 4096; b"" when the line is gone for
        good."""

    async def write(self, data: bytes | memoryview) -> None:
        """Returns when the bytes are handed to the line; OSError when it is gone."""

    async def close(self) -> None: ...


class SerialLine(Protocol):
    """A BytePort that is a real serial line, whose speed can change."""

    async def read(self) -> bytes: ...

    async def write(self, data: bytes | memoryview) -> None: ...

    async def close(self) -> None: ...

    async def set_baud(self, baud: int) -> None:
        """From the next byte on, both ways; what was written before still leaves at the old speed
        (the caller waits for the time that takes). PortError for a speed the line does not
        have."""


class Datagrams(Protocol):
    """UDP from one port of ours. A place is what the machine makes of host and port: hashable,
    equal for the same sender, of no other meaning."""

    async def place(self, host: str, port: int) -> object:
        """OSError when there is no such host. Looking up a name blocks on MicroPython: prefer
        addresses."""

    def text(self, place: object) -> str:
        """ "192.0.2.7:4059" or "[fd00::7]:4059"."""

    async def send(self, data: bytes, place: object) -> None:
        """Hand over one datagram. OSError EAGAIN or ENOBUFS when there is no room for it now,
        EBADF when the port is closed; else there is no way to this place."""

    async def receive(self) -> tuple[bytes, object]:
        """The next datagram and where it came from. One caller only."""

    async def close(self) -> None:
        """Who waits in receive() is to be cancelled first."""


class AppendFile(Protocol):
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add at the end; durable only after sync()."""

    def sync(self) -> None:
        """Returns when everything written is on the medium."""

    def size(self) -> int:
        """Bytes up to the end: without what is set aside."""

    def close(self) -> None: ...


class Storage(Protocol):
    """A flat folder of files on the board's flash. Names are [a-z0-9.-]{1,48}. Blocking calls;
    OSError (ENOSPC, EIO) as given."""

    def append(self, name: str, reserve: int = 0) -> AppendFile:
        """Open for appending; made if absent (and the making is durable after the first sync).

        `reserve`: the file will likely grow to so many bytes. A medium where that makes syncs
        cheaper sets them aside now, as zeros behind the end, which what is appended goes over: they
        are part of the file for read(), size() and the next append(), until truncate() cuts them
        off. A power cut leaves any part of them."""

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        """Up to `size` bytes (-1: all) from `offset`; OSError ENOENT if absent."""

    def replace(self, name: str, data: bytes) -> None:
        """Put a whole file in place, atomically and durably: after a power cut it is the old or
        the new one."""

    def rename(self, old: str, new: str) -> None:
        """Atomically and durably; `new` may exist."""

    def truncate(self, name: str, size: int) -> None:
        """Cut the file to `size` bytes, durably."""

    def remove(self, name: str) -> None:
        """Durably; absent is fine."""

    def erase(self, name: str) -> None:
        """As remove(), and zeros are written over what it held. Where the medium writes to another
        place than the old content has (littlefs, flash behind a controller, file systems that copy
        on write), that stays until the place is used again."""

    def names(self) -> list[str]: ...

    def size(self, name: str) -> int:
        """Bytes, or -1 if absent."""

    def free(self) -> int:
        """Bytes still free on the medium."""


class AesGcm(Protocol):
    """AES-GCM (NIST SP 800-38D) under one key, kept as long as the key is used. Nonces are 12
    bytes, tags 4 to 16."""

    def encrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        """Ciphertext followed by the tag of `tag_size` bytes. Of no data: the tag alone (GMAC)."""

    def decrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        """`data` ends with the tag; CryptoError before any plaintext is given out if the tag is
        wrong."""

    def crypt(self, nonce: bytes, data: bytes | bytearray | memoryview) -> bytes:
        """Encrypt or decrypt (they are the same) WITHOUT a tag: whoever changes the ciphertext
        changes the plaintext unnoticed."""


class AesCcm(Protocol):
    """AES-CCM (NIST SP 800-38C, RFC 3610) under one key. Nonces are 7 to 13 bytes, and the longer
    they are the shorter is the data: below 64 KiB with 13 bytes. Tags are 4, 6, .. 16 bytes."""

    def encrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        """Ciphertext followed by the tag of `tag_size` bytes."""

    def decrypt(
        self,
        nonce: bytes,
        data: bytes | bytearray | memoryview,
        aad: bytes | memoryview,
        tag_size: int,
    ) -> bytes:
        """`data` ends with the tag; CryptoError before any plaintext is given out if the tag is
        wrong."""


class Crypto(Protocol):
    """All secrets are bytes; nothing here logs or keeps them.

    Elliptic curves go by their names "P-256" and "P-384"; private keys are 32 or 48 bytes, public
    keys x||y and signatures r||s twice that. CryptoError for a malformed key, PortError (naming the
    runtime) for what this runtime cannot do.
    """

    def random(self, size: int) -> bytes: ...

    def digest(self, name: str, data: bytes) -> bytes:
        """The hash of data by "md5", "sha1", "sha256" or "sha384"."""

    def hmac(self, name: str, key: bytes, data: bytes) -> bytes:
        """HMAC (RFC 2104) of data with the hash `name`, as long as the hash."""

    def aes_gcm(self, key: bytes) -> AesGcm:
        """For a key of 16 or 32 bytes."""

    def aes_ccm(self, key: bytes) -> AesCcm:
        """For a key of 16 or 32 bytes."""

    def aes_ecb(self, key: bytes, data: bytes) -> bytes:
        """AES of each block of 16 bytes by itself (key 16 or 32 bytes): for who proves that he
        knows the key, and for no text."""

    def aes_wrap(self, kek: bytes, key: bytes) -> bytes:
        """AES key wrap (RFC 3394, NIST SP 800-38F KW): kek 16 or 32 bytes; key a multiple of 8, at
        least 16. 8 bytes longer."""

    def aes_unwrap(self, kek: bytes, wrapped: bytes) -> bytes:
        """CryptoError when the integrity check fails."""

    def ec_generate(self, curve: str) -> tuple[bytes, bytes]:
        """A new (private key, public key)."""

    def ec_public(self, curve: str, private_key: bytes) -> bytes:
        """The public key of a private key."""

    def ec_point(self, curve: str, x: bytes) -> bytes:
        """A public key with this x coordinate (32 or 48 bytes), of the two there are: which of them
        makes no difference to ecdh(). CryptoError if there is none."""

    def ecdsa_sign(self, curve: str, private_key: bytes, message: bytes) -> bytes:
        """ECDSA (FIPS 186-5) with SHA-256 on P-256 (ES256, RFC 9053 2.1), SHA-384 on P-384."""

    def ecdsa_verify(self, curve: str, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is one of `message` by the owner of `public_key`."""

    def ecdh(self, curve: str, private_key: bytes, public_key: bytes) -> bytes:
        """The shared secret Z (x coordinate, 32 or 48 bytes) of SP 800-56A 5.7.1.2 (ECC CDH)."""


class RadioBudget(Protocol):
    """How long a transmitter may be on air, where its band has a limit (EN 300 220). Times in
    milliseconds; `now_ms` are the clock's ticks."""

    total_ms: int  # in any hour

    def airtime_ms(self, size: int) -> int:
        """What one frame with `size` bytes of data takes of it."""

    def left_ms(self, now_ms: int) -> int:
        """What may be spent at once."""

    def wait_ms(self, airtime_ms: int, now_ms: int) -> int:
        """How long until there is room for so much if nothing else is sent; 0: now. What is above
        `total_ms` never has room, and counts as `total_ms`."""


BROADCAST = "broadcast"  # send() takes it for all nodes at once where broadcast_mtu > 0


class Capabilities:
    """What a modem can do. Sizes in bytes; `in_flight` is how many frames it takes before the
    first TxDone."""

    __slots__ = (
        "addresses",
        "broadcast_mtu",
        "budget",
        "confirmed",
        "duty_permille",
        "in_flight",
        "joins",
        "name",
        "node_list",
        "routes",
        "unicast_mtu",
    )

    def __init__(
        self,
        name: str,
        unicast_mtu: int,
        broadcast_mtu: int,
        in_flight: int,
        joins: bool,
        addresses: str = "",
        confirmed: bool = False,
        routes: int = 0,
        node_list: bool = False,
        duty_permille: int = 0,
        budget: RadioBudget | None = None,
    ) -> None:
        self.name = name  # "plc", "rf" or "ip": the kind of path it serves
        self.unicast_mtu = unicast_mtu
        self.broadcast_mtu = broadcast_mtu  # 0: no broadcast
        self.in_flight = in_flight
        self.joins = joins  # True: nodes register by themselves and events tell of it
        # How addresses are spelt: "eui48" (12 hex digits), "wmbus" (16), "mam" (Meters and More
        # ACA, 12), "host:port"
        self.addresses = addresses
        self.confirmed = confirmed  # True: TxDone 0 says that it arrived at the node's modem
        self.routes = routes  # how many repeaters send() may be told; 0: the modem finds its way
        self.node_list = node_list  # True: the modem keeps a list of its nodes
        self.duty_permille = duty_permille  # share of an hour it may be on air; 0: no limit
        self.budget = budget  # what is left of it, and when there is some again; None: no limit


class Quality:
    """Link quality of a received frame; None where the modem does not say. rssi in dBm, snr in
    dB."""

    __slots__ = ("hops", "lqi", "rssi", "snr")

    def __init__(
        self,
        rssi: int | None = None,
        snr: int | None = None,
        lqi: int | None = None,
        hops: int | None = None,
    ) -> None:
        self.rssi = rssi
        self.snr = snr
        self.lqi = lqi
        self.hops = hops


class TxDone:
    """The modem is finished with the frame of `handle`. status 0: sent (and confirmed, where the
    medium confirms). error: why not, where the medium says so and sending again would end in the
    same way."""

    __slots__ = ("error", "handle", "status")

    def __init__(self, handle: int, status: int, error: ModemError | None = None) -> None:
        self.handle = handle
        self.status = status
        self.error = error


class Rx:
    """Data from a node. SAPs are the DLMS ones: `source_sap` the server's, `destination_sap` the
    client's."""

    __slots__ = ("address", "data", "destination_sap", "quality", "source_sap")

    def __init__(
        self, address: str, source_sap: int, destination_sap: int, data: bytes, quality: Quality
    ) -> None:
        self.address = address
        self.source_sap = source_sap
        self.destination_sap = destination_sap
        self.data = data
        self.quality = quality


class Coming:
    """A part of what will be an Rx from there has come: the rest is on its way. Only of media where
    that can take long."""

    __slots__ = ("address", "destination_sap", "source_sap")

    def __init__(self, address: str, source_sap: int, destination_sap: int) -> None:
        self.address = address
        self.source_sap = source_sap
        self.destination_sap = destination_sap


class Joined:
    """A node registered. `address` is what send() takes: a PLC node's EUI-48 as 12 hex digits, and
    the like."""

    __slots__ = ("address",)

    def __init__(self, address: str) -> None:
        self.address = address


class Left:
    """A node is gone, or its connection is. `error`: what that means to who waits for its answer,
    where it is not that there will be none: asyncio.TimeoutError, ask again; a ModemError, no."""

    __slots__ = ("address", "error")

    def __init__(self, address: str, error: Exception | None = None) -> None:
        self.address = address
        self.error = error


class ModemReset:
    """The modem restarted: frames in flight are lost, its node list starts anew."""

    __slots__ = ()


class Modem(Protocol):
    """A modem and the nodes behind it. Addresses are text, spelt as in the inventory and as
    `capabilities.addresses` says: "0080e1000001", "2d2c576866323002" (hal/modem/wmbus/imst.py),
    "host:port".

    It never retries end to end and never segments: that is the queue's and DLMS's business. All
    that speak to the modem raise OSError when it is gone.
    """

    capabilities: Capabilities

    async def send(
        self,
        address: str,
        data: bytes | memoryview,
        source_sap: int,
        destination_sap: int,
        route: list[str] | None = None,
    ) -> int:
        """Hand over one frame; returns its handle. Raises Busy, TooLong, NoRoute or DutyCycle.

        address: a node, or BROADCAST (its TxDone 0 says: sent on the medium), NoRoute where there
        is no broadcast. route: addresses of the repeaters on the way, nearest first, at most
        `capabilities.routes`; None leaves it to the driver."""

    async def event(self) -> TxDone | Rx | Coming | Joined | Left | ModemReset:
        """The next event; one caller only."""

    def nodes(self) -> list[str]:
        """Addresses known to be registered right now (those ever heard, where the medium has no
        registration)."""

    async def discover(self) -> None:
        """Look for nodes now. Returns when asked; what is found comes as Joined."""

    async def kick(self, address: str) -> None:
        """Make this node register anew, or forget what is known of the way to it, without
        disturbing others. Returns when asked. NoRoute when the node is not known."""

    async def get(self, parameter: str) -> bytes:
        """A parameter of the modem, by the driver's spelling (PRIME PIB "0024"). PortError when
        there is none of this name, or the modem refuses or does not answer in time."""

    async def set(self, parameter: str, value: bytes) -> None:
        """Change a parameter. PortError as get()."""

    async def reset(self) -> None:
        """Restart the modem. Returns when asked; ModemReset follows."""

    def statistics(self) -> dict[str, int]:
        """Counters since start by name: frames sent, received, and each kind of damage. "up", where
        a driver knows it, is 0 while it hears nothing of its modem."""

    async def close(self) -> None: ...


class Link(Protocol):
    """A way to one meter that carries whole APDUs. What a DLMS client stands on."""

    max_apdu: int  # the largest APDU that fits one frame of this path

    async def send(self, apdu: bytes | memoryview) -> None:
        """OSError or a ModemError when the path cannot take it."""

    async def receive(self, timeout_ms: int) -> bytes:
        """The next APDU from the meter; asyncio.TimeoutError when none came, OSError when the path
        is gone."""

    async def close(self) -> None: ...


class Message:
    """One MQTT message. `payload` is the message's own bytes, at most the Uplink's limit."""

    __slots__ = ("payload", "retain", "topic")

    def __init__(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self.topic = topic
        self.payload = payload
        self.retain = retain


TOPICS_AT_ONCE = 8  # in one SUBSCRIBE: AWS IoT takes no more


class Shown(Protocol):
    """What certificate of ours a connection with TLS shows. `pair`: the chain and its key, as PEM;
    None: those of the board's files."""

    pair: tuple[bytes, bytes] | None

    def chain(self) -> bytes:
        """That which is shown, as PEM; b"": none. OSError."""


class Uplink(Protocol):
    """One MQTT 3.1.1 connection at a time. Everything is QoS 1; nothing here is kept over a
    disconnection (safety lives in the uplink protocol's own acknowledgements).

    `tls`: None without TLS; `tls.pair` may change between connections.
    `ends`: of the last connection with TLS, whose certificates end when (seconds since 1970 UTC).
    """

    ends: list[tuple[str, int]]

    @property
    def tls(self) -> Shown | None: ...

    async def connect(
        self,
        will: Message | None,
        topics: list[str],
        timeout_ms: int,
        bounds: tuple[int, int] = (0, 0xFFFFFFFF),
    ) -> None:
        """Connect with a clean session and subscribe (QoS 1). OSError or PortError with the reason
        when it fails.

        `bounds`: seconds since 1970 UTC that now is not before, and not after. The certificates of
        TLS are judged by them, whatever the machine's own date, before anything of MQTT is sent."""

    async def publish(self, message: Message, timeout_ms: int) -> None:
        """QoS 1; returns at the broker's PUBACK. OSError when the connection is gone,
        asyncio.TimeoutError."""

    async def receive(self) -> Message:
        """The next message; OSError when the connection is gone. Larger ones than the limit arrive
        with an empty payload and topic "oversized/<topic>"."""

    async def disconnect(self) -> None:
        """Say goodbye if connected (the will is not sent)."""


class Watchdog(Protocol):
    """Restarts the program, or the whole machine, when it is not fed in time."""

    timeout_ms: int  # feed at least three times within it

    def feed(self, status: str = "") -> None:
        """All that matters makes progress. The first one also says: started. `status` is a line for
        people, shown where the machine has a place for it. Never raises."""
