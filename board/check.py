"""`ami-gateway --check`: what every board looks at (checked.py), and the serial lines, and whether
key and certificate in files belong together. A table, and what to do where something is wrong.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from board.checked import OK, WRONG, Row, data_rows, line_certificates, secrets, settings_at, show
from gateway.settings import Settings
from hal.cpython import certificate, usb_serial
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.rt import port_url


def check(settings: Path, data: Path, uarts: Mapping[str, str]) -> int:
    """Prints the table. 0 if nothing is wrong, else 1."""
    return show(_rows(settings, data, uarts))


def _rows(path: Path, data: Path, uarts: Mapping[str, str]) -> Iterator[Row]:
    settings, said = settings_at(str(path), sorted(uarts), "--settings says where they are")
    yield said
    if settings is None:
        return
    folder, now = str(path.parent), int(time.time())
    yield from _lines(settings, uarts)
    yield from line_certificates(settings, folder, now)
    yield from _key(settings, path.parent)
    yield from secrets(settings, folder)
    yield from data_rows(settings, folder, str(data), SystemClock(), now, SystemCrypto())


def _lines(settings: Settings, uarts: Mapping[str, str]) -> Iterator[Row]:
    urls = [("line of %s" % one.driver, one.url) for one in settings.modems if one.url]
    if settings.local is not None:
        urls.append(("line of local", settings.local.url))
    for what, url in urls:
        line = port_url.parse(url)
        if line.kind == port_url.TCP:
            yield Row(what, OK, "%s: not tried, it may serve one at a time" % url)
            continue
        device = uarts[line.place] if line.kind == port_url.UART else line.place
        try:
            if line.kind == port_url.USB or device.startswith("usb:"):
                device = usb_serial.device_of(device.removeprefix("usb:"))
        except OSError as error:
            yield Row(what, WRONG, str(error.strerror))
            continue
        if not os.path.exists(device):
            yield Row(what, WRONG, "%s is not there: plug it in, or correct the url" % device)
        elif not os.access(device, os.R_OK | os.W_OK):
            text = "%s: no right to read and write it; its group is often dialout" % device
            yield Row(what, WRONG, text)
        else:
            yield Row(what, OK, device)


def _key(settings: Settings, folder: Path) -> Iterator[Row]:
    one = settings.uplink
    if one.certificate is None or one.key is None:
        return
    try:
        fits = certificate.belong_together(str(folder / one.certificate), str(folder / one.key))
        text = one.key if fits else "%s is not the key of %s" % (one.key, one.certificate)
        yield Row("uplink.key", OK if fits else WRONG, text)
    except (OSError, ValueError) as error:
        yield Row("uplink.key", WRONG, "%s: expected a key in PEM, came %s" % (one.key, error))
