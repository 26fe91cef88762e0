"""Every command as people first meet it: its help, and what it says when something is not there or
not right: on one line, with a status that is not 0, and never a traceback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.version import VERSION
from tests.conftest import ROOT, micropython_environment

GATEWAYS = ("ami-gateway", "board.unix")
LONGEST = 300  # seconds a command may take to say what is wrong; only a defect takes so long

GOOD_SETTINGS: dict[str, Any] = {
    "concentrator": "street-1",
    "system_title": "414d490000000001",
    "uplink": {"host": "127.0.0.1"},
    "signers": [{"kid": "0102030405060708", "key": "00" * 64}],
    "plain": True,
}


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in `folder`; "board.unix" is the gateway under MicroPython."""
    scripts = Path(sys.executable).parent
    command = [str(scripts / program), *arguments]
    environment = {**os.environ, "COLUMNS": "100"}
    if program == "board.unix":
        command = [str(scripts / "micropython"), "-m", program, *arguments]
        environment = micropython_environment()
    for name in ("AMI_HES_BROKER", "AMI_HES_DB"):
        environment.pop(name, None)
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )


def complaint(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The one line that a command said instead of its work."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


# ------------------------------------------------------------ help

HELP = [
    (["ami-gateway"], ["--settings", "--data", "meters.jsonl"]),
    (["board.unix"], ["SETTINGS", "FOLDER", "meters.jsonl"]),
    (["ami-hes"], ["serve", "submit", "watch", "report", "cancel", "list", "ami-package keygen"]),
    (["ami-hes", "serve"], ["--broker", "mqtt://"]),
    (["ami-hes", "submit"], ["--concentrator", "--package", "--read", "--meters", "--key", "--to"]),
    (["ami-hes", "watch"], ["JOB"]),
    (["ami-hes", "report"], ["JOB", "--json"]),
    (["ami-hes", "retry"], ["JOB", "--key"]),
    (["ami-hes", "cancel"], ["JOB", "--key"]),
    (["ami-hes", "list"], ["usage"]),
    (["ami-package"], ["keygen", "check", "build", "sign", "show", str(ROOT / "tools/package")]),
    (["ami-package", "keygen"], ["KEY"]),
    (["ami-package", "check"], ["FILE"]),
    (["ami-package", "build"], ["FILE", "--key", "--output"]),
    (["ami-package", "sign"], ["FILE", "--key"]),
    (["ami-package", "show"], ["FILE", "--trust"]),
    (["ami-package", "model"], ["list", "check", "compile", "show", str(ROOT / "tools/package")]),
    (["ami-package", "model", "compile"], ["FILE", "--key", "--output"]),
    (["ami-package", "model", "show"], ["NAME", "--tables", "--trust"]),
    (["ami-meter"], ["serve", "population", "show", "TEST KEYS"]),
    (["ami-meter", "serve"], ["--port", "--serial", "--keys", "--dead"]),
    (["ami-meter", "population"], ["--meters", "--seed", "--loss", "--inventory"]),
    (["ami-meter", "show"], ["usage"]),
    (["ami-sniff"], ["--format", "--keys", "--record", "--offer", "ATPLSF", "ami-replay --help"]),
    (["ami-replay"], ["--driver", "--update", "From a trace of the field to a test"]),
]


@pytest.mark.parametrize(("command", "named"), HELP, ids=lambda value: "-".join(value[:2]))
def test_help(tmp_path: Path, command: list[str], named: list[str]) -> None:
    done = run(tmp_path, *command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("usage: ")
    assert [word for word in named if word not in done.stdout] == []
    assert max(len(line) for line in done.stdout.splitlines()) <= 110
    assert list(tmp_path.iterdir()) == []


COMMANDS = [*GATEWAYS, "ami-hes", "ami-package", "ami-meter", "ami-dlms", "ami-bench", "ami-audit"]
COMMANDS += ["ami-sniff", "ami-replay"]
MODULES = ["board.devkit", "tools.demonstration", "tools.simulation"]


@pytest.mark.parametrize("program", [*COMMANDS, *MODULES])
def test_version(tmp_path: Path, program: str) -> None:
    if program in MODULES:
        command = [sys.executable, "-m", program, "--version"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST)
    else:
        done = run(tmp_path, program, "--version")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.count("\n") == 1 and done.stdout.endswith(" %s\n" % VERSION)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", ["ami-hes", "ami-package", "ami-meter"])
def test_no_command(tmp_path: Path, program: str) -> None:
    done = run(tmp_path, program)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: %s" % program)
    assert "COMMAND" in done.stderr.splitlines()[-1]


# ------------------------------------------------------------ the gateway's settings


def gateway(folder: Path, program: str, settings: str) -> str:
    arguments = ["--settings", settings] if program == "ami-gateway" else [settings]
    return complaint(run(folder, program, *arguments), 2)


@pytest.mark.parametrize("program", GATEWAYS)
def test_no_settings(tmp_path: Path, program: str) -> None:
    assert "gateway.json" in complaint(run(tmp_path, program), 2)
    assert "other.json" in gateway(tmp_path, program, "other.json")
    assert gateway(tmp_path, program, ".")
    assert list(tmp_path.iterdir()) == []


WRONG = {
    "no JSON": ("concentrator = street-1", ["expected JSON"]),
    "no object": ("[1, 2]", ["expected a JSON object", "a list of 2"]),
    "missing": ({"concentrator": None}, ["concentrator"]),
    "an id that is none": ({"concentrator": "Street 1"}, ["concentrator", "a-z", "'Street 1'"]),
    "a title too short": ({"system_title": "414d"}, ["system_title", "16 hex digits", "'414d'"]),
    "no host": ({"uplink": {}}, ["uplink.host", "missing"]),
    "a port that is none": (
        {"uplink": {"host": "h", "port": 0}},
        ["uplink.port", "from 1 to 65535", "came 0"],
    ),
    "half a certificate": (
        {"uplink": {"host": "h", "ca": "ca.pem", "certificate": "c.pem"}},
        ["uplink.certificate", "together"],
    ),
    "nobody may order": ({"signers": []}, ["signers", "list"]),
    "a key too short": ({"signers": [{"kid": "01", "key": "00"}]}, ["signers[0].key", "128 hex"]),
    "a driver nobody has": (
        {"modems": [{"driver": "carrier-pigeon"}]},
        ["modems[0].driver", "prime-usi", "'carrier-pigeon'"],
    ),
    "a modem without a line": ({"modems": [{"driver": "imst"}]}, ["modems[0].url", "tcp://"]),
    "a misspelt setting": ({"workres": 4}, ["workres", "no such setting", "workers"]),
    "no password file": (
        {"uplink": {"host": "h", "username": "u", "password_file": "none.password"}},
        ["uplink.password_file", "none.password"],
    ),
    "no file of the authority": (
        {"uplink": {"host": "h", "ca": "ca.pem"}},
        ["uplink.ca", "ca.pem"],
    ),
    "no file of our own": (
        {"uplink": {"host": "h", "ca": "text", "certificate": "c.pem", "key": "k.pem"}},
        ["uplink.certificate", "c.pem"],
    ),
}


@pytest.mark.parametrize("program", GATEWAYS)
@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings(tmp_path: Path, program: str, case: str) -> None:
    content, named = WRONG[case]
    if isinstance(content, dict):
        content = json.dumps({**GOOD_SETTINGS, **content})
    (tmp_path / "gateway.json").write_text(content)
    (tmp_path / "text").write_text("a file\n")
    said = gateway(tmp_path, program, "gateway.json")
    assert [word for word in ["gateway", *named] if word not in said] == [], said


@pytest.mark.parametrize("program", GATEWAYS)
def test_settings_in_another_encoding(tmp_path: Path, program: str) -> None:
    (tmp_path / "gateway.json").write_bytes(json.dumps(GOOD_SETTINGS).encode("utf-16"))
    assert "UTF-8" in gateway(tmp_path, program, "gateway.json")


@pytest.mark.parametrize("program", GATEWAYS)
def test_a_password_that_is_no_text(tmp_path: Path, program: str) -> None:
    uplink = {"host": "h", "username": "u", "password_file": "password"}
    (tmp_path / "gateway.json").write_text(json.dumps({**GOOD_SETTINGS, "uplink": uplink}))
    (tmp_path / "password").write_bytes(b"secret\xff")
    said = gateway(tmp_path, program, "gateway.json")
    assert "uplink.password_file" in said
    assert "secret" not in said


@pytest.mark.parametrize("program", GATEWAYS)
def test_a_file_for_the_data_folder(tmp_path: Path, program: str) -> None:
    (tmp_path / "gateway.json").write_text(json.dumps(GOOD_SETTINGS))
    (tmp_path / "data").write_text("")
    said = gateway(tmp_path, program, "gateway.json")
    assert said.partition("data: ")[2].startswith(("File exists", "expected a folder")), said


def test_too_many_arguments_under_micropython(tmp_path: Path) -> None:
    said = complaint(run(tmp_path, "board.unix", "a.json", "data", "more"), 2)
    assert "--help" in said


# ------------------------------------------------------------ the tools

SUBMIT = ["ami-hes", "submit", "--concentrator", "c1", "--meters", "A1"]
BUILD = ["ami-package", "build", "good.yaml"]
READ = ["--read", "clock 0.0.1.0.0.255 time"]
SAID: dict[str, tuple[int, list[str], list[str]]] = {
    "hes: no job yet": (1, ["ami-hes", "report", "last"], ["no job yet", "submit"]),
    "hes: no such job": (1, ["ami-hes", "watch", "4711"], ["hes.sqlite"]),
    "hes: no broker": (1, ["ami-hes", "serve"], ["mqtt://"]),
    "hes: not a broker": (1, ["ami-hes", "serve", "--broker", "http://h"], ["mqtt://"]),
    "hes: not a database": (1, ["ami-hes", "--db", "text", "list"], ["text", "--db"]),
    "hes: no folder": (1, ["ami-hes", "--db", "none/x", "list"], ["none/x", "--db"]),
    "hes: no key": (1, [*SUBMIT, *READ, "--key", "none.pem"], ["none.pem"]),
    "hes: not a key": (1, [*SUBMIT, *READ, "--key", "text"], ["text", "ami-package keygen"]),
    "hes: no package": (1, [*SUBMIT, "--package", "none", "--key", "key.pem"], ["none"]),
    "hes: not a package": (
        1,
        [*SUBMIT, "--package", "text", "--key", "key.pem"],
        ["ami-package build"],
    ),
    "hes: not an attribute": (
        1,
        [*SUBMIT, "--read", "clock 0.0.1.0.0.255 tme", "--key", "key.pem"],
        ["tme", "time"],
    ),
    "package: no file": (1, ["ami-package", "check", "none.yaml"], ["none.yaml"]),
    "package: not a package": (1, ["ami-package", "show", "text"], ["COSE_Sign1"]),
    "package: no key": (
        1,
        ["ami-package", "build", "good.yaml", "--key", "none.pem"],
        ["none.pem"],
    ),
    "package: not a key": (1, ["ami-package", "build", "good.yaml", "--key", "text"], ["text"]),
    "package: key exists": (1, ["ami-package", "keygen", "key.pem"], ["key.pem", "exists"]),
    "meter: no keys": (2, ["ami-meter", "serve", "--keys", "none"], ["none"]),
    "meter: no meters": (2, ["ami-meter", "population", "--meters", "0"], ["1..2000"]),
    "meter: too few": (2, ["ami-meter", "population", "--meters", "2"], ["3 meters", "only 2"]),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key, a good configuration, and a text that is neither."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "text").write_text("Not what you expect.\n")
    example = ROOT / "tools/package/examples/measurement-interval.yaml"
    (folder / "good.yaml").write_text(example.read_text())
    assert run(folder, "ami-package", "keygen", "key.pem").returncode == 0
    return folder


@pytest.mark.parametrize("case", SAID)
def test_tools_say_what_is_wrong(desk: Path, case: str) -> None:
    status, command, named = SAID[case]
    said = complaint(run(desk, *command), status)
    assert said.startswith(command[0] + ": ")
    assert [word for word in named if word not in said] == [], said


def test_a_mistake_in_a_configuration(desk: Path) -> None:
    """File, line, column, what was expected, what came; then how many there are."""
    bad = (desk / "good.yaml").read_text().replace("capture_period", "capture_perod")
    (desk / "bad.yaml").write_text(bad)
    line = 1 + next(n for n, text in enumerate(bad.splitlines()) if "capture_perod" in text)
    done = run(desk, "ami-package", "check", "bad.yaml")
    assert done.returncode == 1
    first, last = done.stderr.splitlines()
    assert first.startswith("bad.yaml:%d:" % line), first
    assert "capture_perod" in first and "capture_period" in first
    assert last == "1 place to correct"
