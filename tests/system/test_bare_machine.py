"""Set-up on a machine that has nothing: a bare Debian 12 made by debootstrap, entered by chroot.
What the README says to type, then every program of the table, and the demo.

The locked packages are fetched from the index outside and given in a folder, for the index may need
settings that the bare machine has not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import programs

LOCKS = ("requirements-test.txt", "requirements.txt", "requirements-stubs.txt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LIMIT = 3600  # seconds for one step; the longest takes minutes
ENTER = "mount -t proc proc /proc && mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts"


def run(command: Sequence[str | Path], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def debian(**more: str) -> dict[str, str]:
    """The environment of a shell of Debian's, and where a proxy is."""
    proxies = {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}
    return {"PATH": programs.DEBIAN, "HOME": "/root", "LANG": "C.UTF-8", **proxies, **more}


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    for lock in LOCKS:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        given = ["--require-hashes", "--requirement", ROOT / "tools" / lock, "--dest", folder]
        run([*download, *given], dict(os.environ))
    return folder


@pytest.fixture
def bare(tmp_path: Path, wheels: Path) -> Iterator[Path]:
    """Its root, with this checkout in /ami, the locked packages in /wheels, and no Python."""
    root = tmp_path / "root"
    asked = "from tools.bootstrap import debian_mirror; print(debian_mirror())"
    mirror = run([sys.executable, "-c", asked], debian(PYTHONPATH=str(ROOT))).strip()
    made = [programs.need("debootstrap"), "--variant=minbase", "bookworm", root, mirror]
    run(made, debian())
    for name in ("hosts", "resolv.conf"):
        shutil.copy("/etc/" + name, root / "etc" / name)
    left = shutil.ignore_patterns(".venv", ".cache", ".git", "__pycache__")
    shutil.copytree(ROOT, root / "ami", ignore=left)
    shutil.move(wheels, root / "wheels")
    yield root
    shutil.rmtree(root)


@pytest.mark.long
@pytest.mark.timeout(4 * LIMIT)
@pytest.mark.skipif(not programs.find("debootstrap"), reason=programs.why_not("debootstrap"))
@pytest.mark.skipif(os.geteuid() != 0, reason="chroot is for root")
@pytest.mark.skipif(not KEYRING.exists(), reason="no keyring of Debian's archive")
def test_set_up_on_a_bare_debian(bare: Path) -> None:
    def inside(script: str) -> str:
        """The processes and mounts end with it."""
        enter = [programs.need("unshare"), "--mount", "--pid", "--fork", programs.need("chroot")]
        locked = debian(PIP_NO_INDEX="1", PIP_FIND_LINKS="/wheels", PYTHONPATH="/ami")
        return run([*enter, bare, "sh", "-c", "%s && cd /ami && { %s; }" % (ENTER, script)], locked)

    said = inside("./tools/demo --quick 2>&1 || true")
    typed = said.strip().rpartition("as root: ")[2]
    assert typed == "apt-get install python3 python3-venv", said
    inside("apt-get update -qq && DEBIAN_FRONTEND=noninteractive %s -y" % typed)
    said = inside("python3 -B -c 'from tools import bootstrap; bootstrap.set_up_tests()'")
    assert "skipped" not in said, said
    smoke = "tests/unit/test_programs.py tests/contract/test_mqtt.py"
    said = inside(".venv/bin/python -m pytest %s -k 'not test_mqtt or oversized'" % smoke)
    assert " skipped" not in said, said
    assert "OK" in inside("./tools/demo --quick --meters 6")
