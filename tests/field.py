"""The captures in tests/data/field, and what the pushes in them say (see the README there)."""

from __future__ import annotations

from tests.conftest import ROOT

FIELD = ROOT / "tests/data/field"
EK, AK = "000102030405060708090a0b0c0d0e0f", "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
TITLE = "4d4d4d0000000001"
BOTH = ["--ek", EK, "--ak", AK]


def capture(name: str) -> bytes:
    return bytes.fromhex((FIELD / (name + ".hex")).read_text())


def registers(type_name: str, **values: int) -> dict[str, str]:
    """{"register 1.1.1.8.0.255 value": ..} of m1_1_1_8_0=.."""
    return {
        "register %s.255 value" % name[1:].replace("_", "."): "%s %d" % (type_name, value)
        for name, value in values.items()
    }


LIST = {
    "push_setup 0.8.25.9.0.255 logical_name": "octet-string 0.8.25.9.0.255",
    "data 0.0.96.1.0.255 value": 'octet-string "00000001"',
} | registers(
    "double-long-unsigned",
    m1_0_1_7_0=101,
    m1_0_2_7_0=0,
    m1_1_1_8_0=1001001,
    m1_1_2_8_0=1002002,
    m1_1_5_8_0=1003003,
    m1_1_6_8_0=1004,
    m1_1_7_8_0=1005005,
    m1_1_8_8_0=1006006,
)
STRINGS = (
    {
        "data 0.0.42.0.0.255 value": 'octet-string "MMM0000000000001"',
        "data 0.0.96.1.1.255 value": 'octet-string "0000001"',
        "data 0.0.96.14.0.255 value": 'octet-string "RATE0001"',
    }
    | registers(
        "double-long-unsigned",
        m1_0_1_8_1=2001001,
        m1_0_1_8_2=2002002,
        m1_0_2_8_1=203,
        m1_0_2_8_2=204,
        m1_0_1_8_0=2005005,
        m1_0_2_8_0=2006006,
        m1_0_3_8_0=207007,
        m1_0_4_8_0=2008008,
    )
    | {"disconnect_control 0.0.96.3.10.255 control_state": "enum 1"}
)
LONG = (
    {
        "push_setup 0.8.25.9.0.255 logical_name": "octet-string 0.8.25.9.0.255",
        "data 0.0.42.0.0.255 value": 'octet-string "MMM0000000000001"',
        "clock 0.0.1.0.0.255 time": "octet-string 2027-01-05-tue 12:00:10.* ok",
    }
    | registers("long64", m1_0_1_7_0=0, m1_0_2_7_0=0, m1_0_3_7_0=0, m1_0_4_7_0=0)
    | registers(
        "long64-unsigned",
        m1_1_1_8_0=500001,
        m1_1_2_8_0=500002,
        m1_1_5_8_0=500003,
        m1_1_6_8_0=50004,
        m1_1_7_8_0=500005,
        m1_1_8_8_0=50006,
    )
    | registers("long64", m1_0_31_7_0=0, m1_0_51_7_0=0, m1_0_71_7_0=0)
    | registers("long", m1_0_13_7_0=1000)
)
_NAMES = ["1.8.0", "2.8.0", "3.8.0", "4.8.0", "0.0.1", "1.7.0", "2.7.0", "3.7.0", "4.7.0"]
READINGS = (
    {"1.1.%s.255" % name: "double-long-unsigned %d" % (3001 + at) for at, name in enumerate(_NAMES)}
    | {"0.1.1.0.0.255": "octet-string 2027-01-05-tue 12:00:10.* ok"}
    | {"1.1.%d.7.0.255" % (32 + 20 * at): "long-unsigned %d" % (231 + at) for at in range(3)}
    | {
        "1.1.%d.7.0.255" % name: "double-long-unsigned %d" % (11 + at)
        for at, name in enumerate((31, 51, 71, 21, 41, 61))
    }
)
NAMED = {
    "1.1.0.2.129.255": 'visible-string "MMM_V0001"',
    "0.0.96.1.0.255": 'visible-string "0000000000000001"',
    "0.0.96.1.7.255": 'visible-string "0001"',
    "1.0.1.7.0.255": "8001 W",
    "1.0.2.7.0.255": "8002 W",
    "1.0.3.7.0.255": "8003 W",
    "1.0.4.7.0.255": "8004 W",
    "1.0.31.7.0.255": "8.1 A",
    "1.0.71.7.0.255": "8.3 A",
    "1.0.32.7.0.255": "233.2 V",
    "1.0.52.7.0.255": "235.2 V",
    "1.0.72.7.0.255": "237.2 V",
}
WIRED = {
    "1.0.1.8.0.255": "6100 Wh",
    "1.0.2.8.0.255": "6101 Wh",
    "1.0.1.7.0.255": "6102 W",
    "1.0.2.7.0.255": "6103 W",
    "1.0.32.7.0.255": "610.4 V",
    "1.0.52.7.0.255": "610.5 V",
    "1.0.72.7.0.255": "610.6 V",
    "1.0.31.7.0.255": "61.07 A",
    "1.0.51.7.0.255": "61.08 A",
    "1.0.71.7.0.255": "61.09 A",
    "1.0.13.7.0.255": "6.110",
}
TELEGRAM = [
    "MMM5\\253000000_A",
    "1-3:0.2.8(50)",
    "0-0:1.0.0(270105120010W) = 2027-01-05 12:00:10 winter time",
    "1-0:1.8.0(000007001*Wh)",
    "1-0:2.8.0(000000000*Wh)",
    "1-0:1.7.0(00701*W)",
]
