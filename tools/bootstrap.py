"""What `./tools/demo` and `./tools/test` need, fetched once and found again at once.

`python -m tools.bootstrap demo` or `test`, with their arguments, as tools/start.sh calls it.
Standard library only: it runs before anything is installed. Each `ensure_*` says what it does
before it does it, leaves what is already right alone, and ends the program with the exact command
to run where it may not help itself.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

from tools import programs

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"
TESTS = "requirements-test.txt"
MICROPYTHON_PACKAGES = [
    "micropython",
    "libc6",
    "libffi8",
    "libmbedtls21",
    "libmbedcrypto16",
    "libmbedx509-7",
]


def say(text: str) -> None:
    print(f"· {text}", flush=True)


def stop(text: str) -> None:
    sys.exit(f"error: {text}")


def run(*command: str | Path, cwd: Path = ROOT, log: str) -> str:
    """Run a set-up command; its output is shown only if it fails. Returns its standard output."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        shown = shlex.join(str(part) for part in command)
        stop(f"{log} failed with status {done.returncode}: {shown}\n{done.stdout}{done.stderr}")
    return done.stdout


def ensure_venv(requirements: str) -> Path:
    """Make `.venv` hold the locked packages of tools/`requirements` and this project; return its
    python.
    """
    if sys.version_info < (3, 11):
        stop(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}")
    python = VENV / "bin" / "python"
    lock = ROOT / "tools" / requirements
    ours = [path.read_bytes() for path in (ROOT / "pyproject.toml", ROOT / "tools/pyproject.toml")]
    wanted = hashlib.sha256(b"".join([lock.read_bytes(), *ours, str(ROOT).encode()])).hexdigest()
    stamp = VENV / f"{requirements}.sha256"
    if stamp.exists() and stamp.read_text() == wanted and python.exists():
        return python
    if not python.exists():
        say(f"making {VENV.name} with Python {sys.version.split()[0]}")
        try:
            venv.create(VENV, with_pip=True, clear=True)
        except (subprocess.CalledProcessError, OSError) as error:
            stop(f"cannot make {VENV}: {error}; on Debian: apt-get install python3-venv")
    say(f"installing the packages of tools/{requirements} (hashes checked)")
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    run(*pip, "--require-hashes", "--requirement", lock, log="installing packages")
    if requirements == TESTS:
        target = [*pip, "--no-deps", "--upgrade", "--target", VENV / "stubs-mimxrt"]
        stubs = ROOT / "tools" / "requirements-stubs.txt"
        run(*target, "--require-hashes", "--requirement", stubs, log="installing stubs")
    both = ("--editable", ROOT, "--editable", ROOT / "tools")
    run(*pip, "--no-deps", "--no-build-isolation", *both, log="installing ami-*")
    stamp.write_text(wanted)
    return python


def in_venv(requirements: str, module: str, arguments: Iterable[str]) -> None:
    """Replace this process by `python -m module arguments` inside the environment."""
    python = str(ensure_venv(requirements))
    os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ["PYTHONPATH"] = str(ROOT)
    os.execv(python, [python, "-m", module, *arguments])


def ensure_programs() -> None:
    """All of tools/programs.py. Where we may not install it, nothing is tested without what all
    tests need; of the rest it says what is skipped.
    """
    missing = programs.missing()
    needed = [program for program in missing if not program.skipped]
    if needed:
        _install(needed, f"the tests need {_listed(program.name for program in needed)}")
    for what in dict.fromkeys(program.skipped for program in missing if program.skipped):
        wanted = [program for program in missing if program.skipped == what]
        try:
            _install(wanted, f"no {_listed(program.name for program in wanted)}")
        except SystemExit as reason:
            say(f"skipped: {what}: {reason}")


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names)


def _install(wanted: list[programs.Program], why: str) -> None:
    """Their Debian packages, where we are root on a Debian-like machine."""
    packages = list(dict.fromkeys(program.package for program in wanted))
    command = ["apt-get", "install", "--no-install-recommends", "-y", *packages]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        stop(f"{why}. As root: {shlex.join(command)}")
    say(f"installing {_listed(packages)}")
    run("apt-get", "update", "-qq", log="apt-get update")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    # Debian starts a freshly installed broker; ours run on ports of their own.
    policy = Path("/usr/sbin/policy-rc.d")
    mine = not policy.exists()
    if mine:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        run(*command, log=f"installing {_listed(packages)}")
    finally:
        if mine:
            policy.unlink(missing_ok=True)
    absent = [program.name for program in wanted if not programs.find(program.name)]
    if absent:
        stop(f"{_listed(packages)} is installed, yet {_listed(absent)} is not there")


def ensure_micropython() -> Path:
    """MicroPython >= 1.25: the system's own, or Debian 13's unpacked into `.cache`.

    Returns a wrapper, `.venv/bin/micropython`, that finds this project's modules from any folder.
    """
    wrapper = VENV / "bin" / "micropython"
    if not wrapper.exists() or str(ROOT) not in wrapper.read_text():
        start = _system_micropython() or _unpacked_micropython()
        path = f"{ROOT}:{ROOT / 'hal/micropython/lib'}:.frozen"
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        wrapper.write_text(
            f'#!/bin/sh\nexport MICROPYPATH="${{MICROPYPATH:-{path}}}"\nexec {start} "$@"\n'
        )
        wrapper.chmod(0o755)
    return wrapper


def _version(command: str) -> tuple[int, ...]:
    probe = "import sys; print('.'.join(str(n) for n in sys.implementation[1][:2]))"
    done = subprocess.run(
        [*shlex.split(command), "-c", probe], capture_output=True, text=True, check=False
    )
    return tuple(int(n) for n in done.stdout.strip().split(".")) if done.returncode == 0 else (0,)


def _system_micropython() -> str | None:
    folders = os.environ.get("PATH", "").split(os.pathsep)
    others = os.pathsep.join(folder for folder in folders if folder != str(VENV / "bin"))
    found = shutil.which("micropython", path=others)
    return found if found and _version(found) >= (1, 25) else None


def _unpacked_micropython() -> str:
    root = CACHE / "micropython" / "root"
    loader = next(iter(sorted(root.glob("usr/lib/*/ld-linux-*.so.*"))), None)
    if loader is None:
        _fetch_micropython(root)
        loader = next(iter(sorted(root.glob("usr/lib/*/ld-linux-*.so.*"))))
    start = f"{loader} --library-path {loader.parent} {root / 'usr/bin/micropython'}"
    if _version(start) < (1, 25):
        stop(f"the MicroPython in {root} does not start; delete {CACHE} and try again")
    return start


def _fetch_micropython(root: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        stop("MicroPython >= 1.25 is needed and was not found in PATH; install it and try again")
    say("fetching MicroPython from Debian 13")
    base = CACHE / "micropython"
    for folder in ("lists/partial", "archives/partial", "debs"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    mirror = debian_mirror()
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if not mirror or not keyring.exists():
        stop("no Debian mirror is configured for apt; install MicroPython >= 1.25 by hand")
    # Our own list and state folders: of the machine's apt configuration only the mirror is read.
    sources = base / "sources.list"
    sources.write_text(f"deb [signed-by={keyring}] {mirror} trixie main\n")
    options = (
        f"-o Dir::Etc::sourcelist={sources} -o Dir::Etc::sourceparts=-"
        f" -o Dir::State::lists={base}/lists -o Dir::Cache={base} -o APT::Sandbox::User=root"
    ).split()
    run("apt-get", *options, "update", log="reading Debian 13's package list")
    run(
        "apt-get",
        *options,
        "download",
        *MICROPYTHON_PACKAGES,
        cwd=base / "debs",
        log="downloading MicroPython",
    )
    for package in sorted((base / "debs").glob("*.deb")):
        run("dpkg", "-x", package, root, log=f"unpacking {package.name}")
    shutil.rmtree(base / "lists")


def debian_mirror() -> str:
    """The one that apt is configured for; "" if for none."""
    targets = run(
        "apt-get",
        "indextargets",
        "--format",
        "$(SITE) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
        log="asking apt for its mirror",
    )
    mirrors = [
        line.split()[0]
        for line in targets.splitlines()
        if line.endswith(" main") and "security" not in line and "debian" in line.split()[0]
    ]
    return mirrors[0] if mirrors else ""


def set_up_tests() -> None:
    ensure_venv(TESTS)
    ensure_programs()
    ensure_micropython()


def main(what: str, *arguments: str) -> None:
    if what == "test":
        set_up_tests()
        in_venv(TESTS, "tools.checks", arguments)
    ensure_venv("requirements.txt")
    if "micropython" in " ".join(arguments):
        ensure_micropython()
    in_venv("requirements.txt", "tools.demonstration.__main__", arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
