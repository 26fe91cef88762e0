"""The developer's PC: adapters by vendor, product and serial number.

What is plugged in is pyserial's to tell; here a table stands for it, with entries as it makes them
on Linux."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from board import devkit
from hal.cpython import usb_serial


def adapter(device: str, vid: int | None, pid: int | None, serial: str | None) -> ListPortInfo:
    port = ListPortInfo(device)
    port.vid, port.pid, port.serial_number, port.product = vid, pid, serial, "an adapter"
    return port


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> list[ListPortInfo]:
    ports: list[ListPortInfo] = []
    monkeypatch.setattr(list_ports, "comports", lambda: list(ports))
    return ports


def test_adapters_are_found_by_what_they_say(plugged_in: list[ListPortInfo]) -> None:
    plugged_in += [
        adapter("/dev/ttyUSB1", 0x0403, 0x6001, "A50285BI"),
        adapter("/dev/ttyUSB0", 0x0403, 0x6001, "A50285BJ"),
        adapter("/dev/ttyACM0", 0x04D8, 0x00DD, None),
        adapter("/dev/ttyS0", None, None, None),
    ]
    assert usb_serial.device_of("0403:6001:A50285BI") == "/dev/ttyUSB1"
    assert usb_serial.device_of("04d8:00dd") == "/dev/ttyACM0"
    with pytest.raises(OSError, match=r"several fit.*ttyUSB0 .usb:0403:6001:A50285BJ") as several:
        usb_serial.device_of("0403:6001")
    assert several.value.errno == errno.EEXIST
    with pytest.raises(OSError, match="not plugged in; USB serial adapters: usb:04d8:00dd, "):
        usb_serial.device_of("0403:6001:A50285B")


def test_the_list_says_what_is_there(
    plugged_in: list[ListPortInfo], capsys: pytest.CaptureFixture[str]
) -> None:
    assert devkit.main(["--list"]) == 0
    assert capsys.readouterr().out == "no USB serial adapter is plugged in\n"
    plugged_in.append(adapter("/dev/ttyUSB0", 0x0403, 0x6015, "IM880"))
    assert devkit.main(["--list"]) == 0
    assert capsys.readouterr().out.split() == [
        *("/dev/ttyUSB0", "usb:0403:6015:IM880", "an", "adapter")
    ]


def test_it_says_which_line_is_which_before_it_begins(
    plugged_in: list[ListPortInfo], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plugged_in.append(adapter("/dev/ttyUSB7", 0x0403, 0x6015, "IM880"))
    settings = tmp_path / "none.json"
    lines = ["--plc", "/dev/ttyACM3", "--rf", "usb:0403:6015", "--optical", "usb:10C4:EA60"]
    assert devkit.main(["--settings", str(settings), *lines]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == [
        "devkit: uart:plc is /dev/ttyACM3",
        "devkit: uart:rf is usb:0403:6015, /dev/ttyUSB7 now",
    ]
    assert said[2].startswith("devkit: uart:optical is not there yet: usb:10c4:ea60 is not plugged")
    with pytest.raises(SystemExit):
        devkit.main(["--plc", "usb:0403:6001?baud=9600"])
    assert "the speed stands in the settings" in capsys.readouterr().err
