"""image: seven steps, and each way they can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.dlms.data import axdr
from tests.unit.dlms_tool.conftest import Stand, Tool
from tools.meter.image import ImageTransfer, make_image
from tools.meter.kinds import Typed
from tools.meter.model import Refused

FIRMWARE = "V03.00.00"
QUICK = ["--poll", "0.05", "--timeout", "0.3", "--tries", "1"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "fw.img"
    path.write_bytes(make_image("AMI-E450", FIRMWARE, bytes(range(256)) * 8))
    return str(path)


def transfer_object(stand: Stand) -> ImageTransfer:
    found = stand.meter.find(18, "0.0.44.0.0.255")
    assert isinstance(found, ImageTransfer)
    return found


def test_seven_steps(stand: Stand, tool: Tool, keys: list[str], file: str) -> None:
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    assert ran.status == 0, ran.err
    assert stand.meter.firmware == FIRMWARE
    steps = [line[0] for line in ran.err.splitlines()]
    assert steps == list("123567")
    assert '7 activated: firmware "V03.00.00", it was "V02.10.01"' in ran.err


def test_json_and_no_activation(stand: Stand, tool: Tool, keys: list[str], file: str) -> None:
    options = ["--identifier", "0x465733", "--no-activate", "--json", *QUICK, *keys]
    ran = tool(stand.tcp, "image", file, *options)
    assert ran.status == 0, ran.err
    assert ran.json["verified"] is True
    assert ran.json["activated"] is False
    assert ran.json["sent"] == ran.json["blocks"]
    assert stand.meter.firmware == "V02.10.01"


def test_slow_verification_and_activation_are_waited_for(
    stand: Stand, tool: Tool, keys: list[str], file: str
) -> None:
    found = transfer_object(stand)
    found.verify_s = found.activate_s = 1
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    assert ran.status == 0, ran.err
    assert stand.meter.firmware == FIRMWARE


def test_verification_without_end(stand: Stand, tool: Tool, keys: list[str], file: str) -> None:
    transfer_object(stand).verify_s = 1000
    options = ["--identifier", "FW3", "--patience", "0.2", *QUICK, *keys]
    ran = tool(stand.tcp, "image", file, *options)
    assert ran.status == 1
    assert "step 5 verify: the meter is still at 'verification initiated'" in ran.err
    assert stand.meter.firmware == "V02.10.01"


def test_damaged_image_is_not_activated(
    stand: Stand, tool: Tool, keys: list[str], file: str
) -> None:
    Path(file).write_bytes(Path(file).read_bytes()[:-1] + b"!")
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    assert ran.status == 1
    assert "step 5: verification failed" in ran.err
    assert stand.meter.firmware == "V02.10.01"


def test_another_identity_is_not_activated(
    stand: Stand, tool: Tool, keys: list[str], file: str
) -> None:
    options = ["--identifier", "FW3", "--expect", "FW4", *QUICK, *keys]
    ran = tool(stand.tcp, "image", file, *options)
    assert ran.status == 1
    assert 'step 6: the meter would activate "FW3"' in ran.err
    assert "--expect" in ran.err
    assert stand.meter.firmware == "V02.10.01"


@pytest.mark.parametrize(
    "habit",
    [
        {"lose_verify": 1},
        {"lose_verify": 2},
        {"erase_s": 2},
        {"false_blocks": "padded"},
        {"false_blocks": "late"},
    ],
)
def test_habits_of_meters(
    stand: Stand, tool: Tool, keys: list[str], file: str, habit: dict[str, Any]
) -> None:
    """What is lost is invoked again, who is busy is waited for, a bitmap may have any length."""
    for name, value in habit.items():
        setattr(stand.meter.faults, name, value)
    ran = tool(stand.udp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    assert ran.status == 0, ran.err
    assert stand.meter.firmware == FIRMWARE
    assert ("it is waited for" in ran.err) == ("erase_s" in habit)


def test_resumed_by_a_bitmap_that_is_padded(
    stand: Stand, tool: Tool, keys: list[str], file: str
) -> None:
    found = transfer_object(stand)
    right = found.methods[2].run

    def dies(typed: Typed) -> Typed | None:
        stand.meter.faults.dead = typed[1][0][1] == 5
        return right(typed)

    found.methods[2].run = dies
    stand.meter.faults.false_blocks = "padded"
    options = ["--identifier", "FW3", "--reconnects", "0", *QUICK, *keys]
    assert tool(stand.tcp, "image", file, *options).status == 1
    stand.meter.faults.dead = False
    found.methods[2].run = right
    ran = tool(stand.tcp, "image", file, "--resume", "--json", *options)
    assert ran.status == 0, ran.err
    assert ran.json["resumed_at"] == 6


@pytest.mark.parametrize("carrier", ["tcp", "udp", "hdlc"])
def test_a_meter_with_another_client_is_told_to_be_busy(
    stand: Stand, tool: Tool, keys: list[str], carrier: str
) -> None:
    stand.meter.faults.busy = 1
    ran = tool(getattr(stand, carrier), "identify", *keys)
    assert ran.status == 1
    assert "rejected-transient" in ran.err and "try again later" in ran.err
    assert "check" not in ran.err


def test_disabled(stand: Stand, tool: Tool, keys: list[str], file: str) -> None:
    transfer_object(stand).put(5, (axdr.BOOLEAN, False))
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    assert ran.status == 1
    assert "image_transfer_enabled" in ran.err


class Stubborn:
    """Some blocks do not stick, though the meter says so."""

    def __init__(self, image: ImageTransfer, numbers: set[int], times: int) -> None:
        self._right = image.methods[2].run
        self._numbers = numbers
        self._left = dict.fromkeys(numbers, times)
        image.methods[2].run = self

    def __call__(self, typed: Typed) -> Typed | None:
        number = typed[1][0][1]
        if self._left.get(number, 0):
            self._left[number] -= 1
            return None
        return self._right(typed)


def test_gaps_are_filled(stand: Stand, tool: Tool, keys: list[str], file: str) -> None:
    Stubborn(transfer_object(stand), {0, 4, 5}, 2)
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    assert ran.status == 0, ran.err
    assert "3 blocks did not stick: round 3" in ran.err
    assert stand.meter.firmware == FIRMWARE


def test_a_block_that_never_sticks_ends_it(
    stand: Stand, tool: Tool, keys: list[str], file: str
) -> None:
    Stubborn(transfer_object(stand), {3}, 1000)
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    assert ran.status == 1
    assert "step 4: 1 blocks are still missing after 3 rounds (the first is 3)" in ran.err
    assert stand.meter.firmware == "V02.10.01"


def test_a_refused_block_ends_it(stand: Stand, tool: Tool, keys: list[str], file: str) -> None:
    def refuse(typed: Typed) -> None:
        raise Refused("hardware-fault")

    transfer_object(stand).methods[2].run = refuse
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    assert ran.status == 1
    assert "step 3, block 0: ACTION image_transfer.image_block_transfer" in ran.err
    assert "hardware-fault" in ran.err


def test_lost_answers_cost_nothing(stand: Stand, tool: Tool, keys: list[str], file: str) -> None:
    """Also over UDP, where nobody repeats: what the meter has decides."""
    found = transfer_object(stand)
    right = found.methods[2].run

    def lossy(typed: Typed) -> Typed | None:
        if typed[1][0][1] in (2, 7):
            stand.meter.faults.lose_answers = 1
        return right(typed)

    found.methods[2].run = lossy
    ran = tool(stand.udp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    assert ran.status == 0, ran.err
    assert stand.meter.firmware == FIRMWARE


def test_connection_lost_and_opened_again(
    stand: Stand, tool: Tool, keys: list[str], file: str
) -> None:
    found = transfer_object(stand)
    right = found.methods[2].run
    seen = []

    def silent(typed: Typed) -> Typed | None:
        seen.append(typed[1][0][1])
        if len(seen) == 5:
            stand.meter.faults.lose_answers = 3
        return right(typed)

    found.methods[2].run = silent
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    assert ran.status == 0, ran.err
    assert "connecting again" in ran.err
    assert len(seen) == len(set(seen))  # what stuck is not sent again
    assert stand.meter.firmware == FIRMWARE


def test_resume_in_another_run(stand: Stand, tool: Tool, keys: list[str], file: str) -> None:
    found = transfer_object(stand)
    right = found.methods[2].run
    numbers: list[int] = []

    def dies(typed: Typed) -> Typed | None:
        numbers.append(typed[1][0][1])
        if len(numbers) == 6:
            stand.meter.faults.dead = True
        return right(typed)

    found.methods[2].run = dies
    options = ["--identifier", "FW3", "--reconnects", "1", *QUICK, *keys]
    ran = tool(stand.tcp, "image", file, *options)
    assert ran.status == 1
    assert "--resume" in ran.err
    stand.meter.faults.dead = False
    ran = tool(stand.tcp, "image", file, "--resume", "--json", *options)
    assert ran.status == 0, ran.err
    assert ran.json["resumed_at"] == 6
    assert len(numbers) == len(set(numbers))
    assert stand.meter.firmware == FIRMWARE


def test_nothing_to_resume_starts_anew(
    stand: Stand, tool: Tool, keys: list[str], file: str
) -> None:
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", "--resume", *QUICK, *keys)
    assert ran.status == 0, ran.err
    assert "nothing to resume (not initiated)" in ran.err


def test_wrong_calls(stand: Stand, tool: Tool, file: str, tmp_path: Path) -> None:
    assert tool(stand.tcp, "image", file + "x", "--identifier", "A").status == 2
    assert tool(stand.tcp, "image", file, "--identifier", "0xZ").status == 2
    assert tool(stand.tcp, "image", file).status == 2
    empty = tmp_path / "empty"
    empty.touch()
    ran = tool(stand.tcp, "image", str(empty), "--identifier", "A")
    assert ran.status == 2
    assert "1..67108864 bytes, got 0" in ran.err


def test_public_client_may_not(stand: Stand, tool: Tool, file: str) -> None:
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", *QUICK)
    assert ran.status == 1
    assert "read-write-denied" in ran.err


@pytest.mark.parametrize("works", [True, False])
def test_a_meter_that_starts_again(
    stand: Stand, tool: Tool, keys: list[str], file: str, works: bool
) -> None:
    """It says nothing of the activation afterwards: its firmware does."""
    found = transfer_object(stand)

    def restart(typed: Typed) -> None:
        stand.server._sessions.clear()
        stand.meter.faults.lose_answers = 1
        found._status = 0
        if works:
            stand.meter.firmware = FIRMWARE

    found.methods[4].run = restart
    ran = tool(stand.tcp, "image", file, "--identifier", "FW3", *QUICK, *keys)
    if works:
        assert ran.status == 0, ran.err
        assert "7 activated" in ran.err
    else:
        assert ran.status == 1
        assert "step 7: the meter is at 'not initiated' and runs firmware" in ran.err
