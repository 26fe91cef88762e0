"""Why the broker cannot be reached, where that is TLS: aiomqtt tells a certificate that the broker
refuses as a time-out, and OpenSSL's texts do not say what was expected.
"""

from __future__ import annotations

import asyncio
import ssl
import time

from hal.cpython.mqtt_line import dial
from hal.cpython.tls import Tls
from hal.ports import PortError
from tools.hes.line.broker import Broker

_PATIENCE = 20.0  # seconds, for all of it
_ALERT = 3.0  # in TLS 1.3 a broker refuses us after the handshake
_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_OPTIONS = (
    ("uplink.certificate and uplink.key", "--cert and --cert-key"),
    ("uplink.ca", "--ca"),
    ("uplink.host", "--broker"),
    ("uplink.port", "--broker"),
)


async def tls_fault(broker: Broker) -> str:
    """In words; "" where TLS is not what is wrong, or there is none."""
    if broker.files is None:
        return ""
    now = int(time.time())
    try:
        async with asyncio.timeout(_PATIENCE):
            text = await _tried(broker, Tls(broker.files, broker.host, (now, now)))
    except (OSError, PortError) as error:
        text = getattr(error, "strerror", None) or str(error)
    if not text.startswith("TLS: "):
        return ""
    for setting, option in _OPTIONS:
        text = text.replace(setting, option)
    return text


async def _tried(broker: Broker, tls: Tls) -> str:
    """One handshake, and what the broker says to it."""
    line = await dial(broker.host, broker.port, tls)
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(line.fileno(), told.set)
    try:
        async with asyncio.timeout(_ALERT):
            while True:
                await told.wait()
                told.clear()
                try:
                    line.recv(1)
                    return ""
                except _LATER:
                    pass
                except OSError as error:
                    return tls.words(error)
    except asyncio.TimeoutError:
        return ""
    finally:
        loop.remove_reader(line.fileno())
        line.close()
