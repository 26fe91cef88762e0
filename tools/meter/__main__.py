"""ami-meter: virtual DLMS/COSEM meters that really hold state."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

from gateway.dlms.apdu import acse
from gateway.dlms.data import cosem, obis
from gateway.dlms.hdlc.mode_e import Identification
from gateway.version import VERSION
from tools.cosem.source import Problem, load
from tools.emulator.line import PtyLine, TcpLine
from tools.meter import device
from tools.meter.control import ControlServer
from tools.meter.hdlc import MeterHdlc
from tools.meter.makes import AMI, MAKES
from tools.meter.model import MANAGEMENT, PUBLIC
from tools.meter.population import (
    IP,
    NORMAL,
    PLC,
    RF,
    Member,
    Mix,
    build_population,
    write_inventory,
)
from tools.meter.protection import AUTHENTICATED, ENCRYPTED, Demand
from tools.meter.scenario import (
    MAM_FIGURES,
    PLC_FIGURES,
    RF_FIGURES,
    Scenario,
    read_base_names,
    read_scenario,
)
from tools.meter.server import CONFORMANCE, MeterServer
from tools.meter.street import PLC_MODEMS, RF_MODEMS, Street
from tools.meter.tcp import MeterTcp
from tools.meter.text import shown
from tools.meter.udp import MeterUdp

MECHANISMS = {
    "none": acse.NONE,
    "low": acse.LOW,
    "high": acse.HIGH,
    "md5": acse.HIGH_MD5,
    "sha1": acse.HIGH_SHA1,
    "gmac": acse.HIGH_GMAC,
    "sha256": acse.HIGH_SHA256,
    "ecdsa": acse.HIGH_ECDSA,
}
POLICIES = {
    "both": AUTHENTICATED | ENCRYPTED,
    "authenticated": AUTHENTICATED,
    "encrypted": ENCRYPTED,
}
MANUFACTURER = "AMI"  # FLAG letters; these are nobody's
FASTEST_BAUD = 9600  # that the optical probe offers

DESCRIPTION = """\
Virtual DLMS/COSEM meters: clock, load profile, activity calendar, special days, script table,
alarms, register monitor, image transfer, association and security setup, all of which really hold
state. Keys are TEST KEYS derived from --seed: never use them for a real meter.

  ami-meter show                                    what is in a meter
  ami-meter serve --port 4059                       one meter over TCP
  ami-meter population --meters 24 --inventory out  a whole street behind emulated modems
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0; 2 for wrong arguments or a port that is taken."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        return 0
    except (OSError, ValueError, Problem) as error:
        print("ami-meter: %s" % error, file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ami-meter",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="one meter over TCP with the DLMS wrapper"))
    _add_population(
        commands.add_parser("population", help="many meters behind emulated PLC and RF modems")
    )
    _add_show(commands.add_parser("show", help="a table of the objects of a fresh meter"))
    return parser


def _add_identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--serial", default="AMI0000000001", help="default %(default)s")
    parser.add_argument("--model", default=device.FACTORY_MODEL, help="default %(default)s")
    parser.add_argument("--firmware", default=device.FACTORY_FIRMWARE, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the test keys; default %(default)s")
    parser.add_argument(
        "--password",
        default="",
        help="authenticate the management client (SAP 1) by this LLS password, without ciphering;"
        " without it: HLS5-GMAC and suite 0 with the test keys",
    )
    parser.add_argument(
        "--make",
        choices=list(MAKES),
        default=AMI.name,
        help="which profiles, logs and alarms it has, and its model in the inventory; a make that"
        " knows its client by a password has one of its own; default %(default)s",
    )


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "One meter over TCP. Prints a JSON line with the port once it listens; ends on Ctrl-C or"
        " SIGTERM. The public client (SAP 16) reads its identity without security."
    )
    _add_identity(parser)
    parser.add_argument("--port", type=_port, default=4059, help="default %(default)s; 0: any free")
    parser.add_argument(
        "--udp", type=_port, metavar="PORT", help="listen on this UDP port too; 0: any free"
    )
    parser.add_argument(
        "--hdlc", type=_port, metavar="PORT", help="HDLC on this TCP port too; 0: any free"
    )
    parser.add_argument("--pty", action="store_true", help="HDLC on a new pseudo-terminal too")
    parser.add_argument(
        "--mode-e",
        action="store_true",
        help="HDLC begins with the opening of IEC 62056-21, as at an optical probe",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default %(default)s")
    parser.add_argument("--max-pdu", type=int, default=640, help="bytes; default %(default)s")
    parser.add_argument(
        "--short-names",
        nargs="?",
        const="",
        metavar="FILE",
        help="it knows short names only; base names by OBIS code may stand in FILE (YAML:"
        " `0.0.1.0.0.255: 0x2BC0`), all others are assigned",
    )
    parser.add_argument(
        "--keys", type=Path, help="take ek and ak from this keys.jsonl (the line of --serial)"
    )
    _add_outputs(parser)
    _add_security(parser)
    parser.add_argument(
        "--without",
        type=_services,
        default=0,
        metavar="SERVICES",
        help="do not agree to these services, by the names of the conformance block with commas"
        " between: access,general-block-transfer",
    )
    faults = parser.add_argument_group("faults")
    faults.add_argument(
        "--drift",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="so much a day its clock gains; below 0: loses",
    )
    faults.add_argument("--dead", action="store_true", help="answer nothing")
    faults.add_argument(
        "--refuse-write",
        type=_attribute,
        metavar="CLASS/OBIS/ATTRIBUTE",
        help="answer read-write-denied to writes of it, as 7/1.0.99.1.0.255/4",
    )
    faults.add_argument(
        "--lose-answers", type=int, default=0, metavar="N", help="lose the next N answers"
    )
    faults.add_argument(
        "--lose-blocks",
        type=int,
        default=0,
        metavar="N",
        help="of the next N general blocks it sends, lose every second",
    )
    faults.add_argument(
        "--lose-received-blocks",
        type=int,
        default=0,
        metavar="N",
        help="lose the next N general blocks sent to it",
    )
    faults.add_argument(
        "--slow-verify", type=int, default=0, metavar="S", help="image_verify takes S seconds"
    )
    faults.add_argument(
        "--lose-verify", type=int, default=0, metavar="N", help="lose the next N image_verify"
    )
    faults.add_argument(
        "--erase",
        type=int,
        default=0,
        metavar="S",
        help="answer blocks of an image with temporary-failure for S seconds after initiate",
    )
    faults.add_argument(
        "--blocks-told",
        choices=["padded", "late"],
        default="",
        help="tell of an image's blocks with more bits than there are, or none before the first",
    )
    faults.add_argument(
        "--busy", type=int, default=0, metavar="N", help="refuse N associations for now"
    )
    faults.add_argument(
        "--flood",
        type=int,
        default=0,
        metavar="N",
        help="send N frames that nobody asked for with each answer",
    )
    faults.add_argument("--slow", type=int, default=0, metavar="MS", help="answer so much later")
    faults.add_argument(
        "--wrong-counter", action="store_true", help="cipher answers with an old counter"
    )
    faults.add_argument(
        "--wants-counter",
        type=int,
        default=0,
        metavar="N",
        help="want the client's counter higher, each time by N more",
    )
    parser.set_defaults(run=_serve)


def _add_security(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "security",
        "Of the management client; --password is the secret of low, md5, sha1 and sha256 too.",
    )
    group.add_argument("--suite", type=int, choices=[0, 1, 2], default=0, help="default 0")
    group.add_argument("--auth", choices=list(MECHANISMS), help="default gmac; low with --password")
    group.add_argument(
        "--protection",
        choices=["plain", "glo", "ded", "general-glo", "general-ded", "general-ciphering"],
        help="insist on this form; default: whichever the client takes",
    )
    group.add_argument("--policy", choices=list(POLICIES), default="both", help="default both")
    group.add_argument(
        "--key-source",
        choices=["identified", "wrapped", "one-pass", "static"],
        help="insist on this key of general-ciphering; default: whichever the client takes",
    )
    group.add_argument("--signed", action="store_true", help="insist on general-signing")
    group.add_argument(
        "--other-dialect",
        action="store_true",
        help="reckon general-ciphering and -signing as some head-ends' libraries do",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--inventory",
        type=Path,
        metavar="FOLDER",
        help="write meters.jsonl and keys.jsonl for the gateway there; in suites 1 and 2 the"
        " client's private and the meter's public keys too, as PEM",
    )
    parser.add_argument(
        "--control",
        type=_port,
        metavar="PORT",
        help="offer the control channel (tools/meter/control.py) on loopback; 0: any free port",
    )


def _add_population(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Many meters: behind an emulated PLC modem, behind an emulated radio module, on both, or on"
        " TCP ports of their own. Prints a JSON line with the ports once all"
        " is ready; ends on Ctrl-C, SIGTERM, or by the control channel."
    )
    mix = Mix()
    parser.add_argument(
        "--scenario",
        type=Path,
        metavar="FILE",
        help="population, channels and what happens to them, from a file (see"
        " tools/meter/scenario.py and tools/simulation/scenarios); instead of --meters, --loss,"
        " shares and trouble",
    )
    parser.add_argument("--meters", type=int, default=24, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    _add_outputs(parser)
    parser.add_argument("--plc-port", type=_port, default=0, help="of the PLC modem; 0: any free")
    parser.add_argument("--rf-port", type=_port, default=0, help="of the RF modem; 0: any free")
    for name in ("plc", "rf"):
        parser.add_argument(
            "--%s-pty" % name,
            type=Path,
            metavar="LINK",
            help="the %s modem on a pseudo-terminal instead; LINK will point to it" % name.upper(),
        )
    parser.add_argument("--plc-modem", choices=list(PLC_MODEMS), default="prime", help="its make")
    parser.add_argument("--rf-modem", choices=list(RF_MODEMS), default="imst", help="its make")
    parser.add_argument(
        "--loss", type=float, default=0.0, help="0..1, per frame and hop; default %(default)s"
    )
    parser.add_argument(
        "--speed", type=float, default=1.0, help="channel times faster than real; default 1"
    )
    shares = parser.add_argument_group("shares", "how many of every few meters are on which path")
    for name in ("plc", "rf", "both", "ip"):
        shares.add_argument("--" + name, type=int, default=getattr(mix, name), metavar="SHARE")
    shares.add_argument(
        "--makes",
        type=_makes,
        default={},
        metavar="NAME,NAME...",
        help="the meters are of these makes in turn (%s); default ami" % ", ".join(MAKES),
    )
    troubles = parser.add_argument_group("trouble", "how many meters of all; which: by the seed")
    troubles.add_argument("--dead", type=int, default=mix.dead)
    troubles.add_argument("--refuses-write", type=int, default=mix.refuses_write)
    troubles.add_argument("--other-firmware", type=int, default=mix.other_firmware)
    troubles.add_argument(
        "--refused",
        type=_attribute,
        default=mix.refused,
        metavar="CLASS/OBIS/ATTRIBUTE",
        help="what refuses-write refuses; default: the load profile's capture_period",
    )
    parser.set_defaults(run=_population)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Every attribute and method of a fresh meter: COSEM name, type, rights (r, w: management"
        " client; p: the public client reads it too), value."
    )
    _add_identity(parser)
    parser.set_defaults(run=_show)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError("expected a port from 0 to 65535, not %r" % text)
    return int(text)


def _services(text: str) -> int:
    """Their bits."""
    bits = {name: bit for bit, name in acse.CONFORMANCE_NAMES.items()}
    unknown = [name for name in text.split(",") if name not in bits]
    if unknown:
        raise argparse.ArgumentTypeError(
            "no service is called %s, but %s" % (unknown[0], ", ".join(sorted(bits)))
        )
    return sum({bits[name] for name in text.split(",")})


def _attribute(text: str) -> tuple[int, str, int]:
    try:
        class_id, name, index = text.split("/")
        return int(class_id), obis.text(obis.parse(name)), int(index)
    except ValueError:
        raise argparse.ArgumentTypeError(
            "expected CLASS/OBIS/ATTRIBUTE as 7/1.0.99.1.0.255/4, not %r" % text
        ) from None


# ---------------------------------------------------------------- serve


def _makes(text: str) -> dict[str, int]:
    """How many of every few meters are of each make."""
    found: dict[str, int] = {}
    for name in text.split(","):
        if name not in MAKES:
            raise argparse.ArgumentTypeError(
                "expected makes of %s, separated by commas, not %r" % (", ".join(MAKES), name)
            )
        found[name] = found.get(name, 0) + 1
    return found


def _serve(options: argparse.Namespace) -> int:
    make = MAKES[options.make]
    own = make.password if options.auth is None and not options.password else b""
    password = own or options.password.encode()
    keyless = options.protection == "plain" or (password and options.auth is None)
    if keyless and not own and options.inventory is not None:
        raise ValueError("an inventory has meters with keys only: drop --password or plain")
    keys = device.derive_test_keys(options.seed, options.serial, options.suite)
    if options.keys is not None:
        keys.ek, keys.ak = _read_keys(options.keys, options.serial, options.suite, len(keys.ek))
    meter = device.build_meter(
        options.serial,
        options.model,
        options.firmware,
        keys=None if keyless else keys,
        password=password,
        mechanism=None if options.auth is None else MECHANISMS[options.auth],
        demand=Demand(
            options.protection,
            POLICIES[options.policy],
            options.key_source,
            options.signed,
            options.other_dialect,
        ),
        short_names=_base_names(options.short_names),
        make=make,
    )
    meter.drift_by(options.drift)
    meter.faults.dead = options.dead
    meter.faults.refuse_write = options.refuse_write
    meter.faults.slow_ms = options.slow
    meter.faults.wrong_counter = options.wrong_counter
    meter.faults.lose_answers = options.lose_answers
    meter.faults.lose_blocks = options.lose_blocks
    meter.faults.lose_received_blocks = options.lose_received_blocks
    meter.faults.slow_verify_s = options.slow_verify
    meter.faults.lose_verify = options.lose_verify
    meter.faults.erase_s = options.erase
    meter.faults.false_blocks = options.blocks_told
    meter.faults.busy = options.busy
    meter.faults.flood = options.flood
    meter.faults.wants_counter = options.wants_counter
    member = Member(
        options.serial,
        NORMAL,
        MeterServer(meter, options.max_pdu, CONFORMANCE & ~options.without),
        keys,
        model="" if make is AMI else make.name,
        password=own,
    )
    asyncio.run(_serve_one(options, member))
    return 0


def _base_names(path: str | None) -> dict[str, int] | None:
    """None: the meter has logical names."""
    if path is None:
        return None
    return read_base_names(load(Path(path))) if path else {}


def _read_keys(path: Path, serial: str, suite: int, size: int) -> tuple[bytes, bytes]:
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if row.get("serial") == serial:
            if row.get("suite", 0) != suite:
                raise ValueError(
                    "%s: the keys of %s are of suite %s: give --suite"
                    % (path.name, serial, row.get("suite", 0))
                )
            ek, ak = bytes.fromhex(row.get("ek", "")), bytes.fromhex(row.get("ak", ""))
            if len(ek) == len(ak) == size:
                return ek, ak
    raise ValueError(
        "%s has no line for %s with ek and ak of %d hex digits" % (path.name, serial, 2 * size)
    )


def _probe_identification(server: MeterServer) -> Identification:
    """As the meter would say it at an optical probe."""
    meter = server.meter
    return Identification(MANUFACTURER, FASTEST_BAUD, True, meter.model + "." + meter.firmware)


async def _serve_one(options: argparse.Namespace, member: Member) -> None:
    stopped = _stop_by_signal()
    tcp = MeterTcp(member.server)
    port = await tcp.start(options.port, options.host)
    member.paths = [(IP, "%s:%d" % (options.host, port))]
    control = ControlServer([member], stopped.set)
    ready: dict[str, object] = {
        "ready": True,
        "serial": member.serial,
        "host": options.host,
        "port": port,
    }
    udp = MeterUdp(member.server)
    if options.udp is not None:
        ready["udp"] = await udp.start(options.udp, options.host)
    hdlc = MeterHdlc(
        member.server, mode_e=_probe_identification(member.server) if options.mode_e else None
    )
    if options.hdlc is not None:
        ready["hdlc"] = await hdlc.start(options.hdlc, options.host)
    if options.pty:
        ready["pty"] = hdlc.open_pty()
    await _run_until(stopped, options, [member], control, ready)
    await hdlc.stop()
    await udp.stop()
    await tcp.stop()


# ---------------------------------------------------------------- population


def _population(options: argparse.Namespace) -> int:
    scene = _scene(options)
    members = build_population(scene.meters, options.seed, scene.mix)
    asyncio.run(_run_population(options, scene, members))
    return 0


def _scene(options: argparse.Namespace) -> Scenario:
    if options.scenario is not None:
        return read_scenario(options.scenario)
    mix = Mix(
        options.plc,
        options.rf,
        options.both,
        options.ip,
        options.dead,
        options.refuses_write,
        options.other_firmware,
        options.refused,
        makes=options.makes,
    )
    plc = MAM_FIGURES if options.plc_modem == "meters-and-more" else PLC_FIGURES
    return Scenario(
        options.meters,
        mix,
        plc=replace(plc, loss=options.loss),
        rf=replace(RF_FIGURES, loss=options.loss),
    )


async def _run_population(
    options: argparse.Namespace, scene: Scenario, members: list[Member]
) -> None:
    stopped = _stop_by_signal()
    street = Street(
        members,
        scene,
        options.seed,
        options.speed,
        plc_modem=PLC_MODEMS[options.plc_modem],
        rf_modem=RF_MODEMS[options.rf_modem],
    )
    lines: dict[str, TcpLine | PtyLine] = {
        PLC: PtyLine(options.plc_pty) if options.plc_pty else TcpLine(options.plc_port),
        RF: PtyLine(options.rf_pty) if options.rf_pty else TcpLine(options.rf_port),
    }
    await street.start_tcp()
    await street.start(lines)
    control = ControlServer(members, stopped.set, street)
    ready: dict[str, object] = {"ready": True, "meters": len(members)}
    for kind, emulator in ((PLC, street.plc), (RF, street.rf)):
        line = lines[kind]
        if isinstance(line, TcpLine):
            ready[kind] = line.port if emulator is not None else 0
        else:
            ready[kind + "_pty"] = line.path
    await _run_until(stopped, options, members, control, ready)
    await street.stop()


# ---------------------------------------------------------------- both


def _stop_by_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


async def _run_until(
    stopped: asyncio.Event,
    options: argparse.Namespace,
    members: list[Member],
    control: ControlServer,
    ready: dict[str, object],
) -> None:
    """Write the inventory, open the control channel, say that all is ready, wait for the end."""
    if options.inventory is not None:
        write_inventory(options.inventory, members)
    if options.control is not None:
        ready["control"] = await control.start(options.control)
    print(json.dumps(ready), flush=True)
    await stopped.wait()
    await control.stop()


# ---------------------------------------------------------------- show


def _show(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    keys = device.derive_test_keys(options.seed, options.serial)
    meter = device.build_meter(
        options.serial,
        options.model,
        options.firmware,
        keys=None if options.password else keys,
        password=options.password.encode(),
        make=MAKES[options.make],
    )
    table = Table(title="%s %s %s" % (meter.serial, meter.model, meter.firmware))
    for heading in ("object", "attribute or method", "type", "rights", "value"):
        table.add_column(heading, overflow="fold")
    for each in [*meter.objects.values(), meter.associations[MANAGEMENT]]:
        interface = cosem.CLASSES[each.class_id]
        table.add_section()
        title = "%s\n%s (%d)" % (each.name, interface.name, each.class_id)
        for index, attribute in sorted(each.attributes.items())[1:]:
            rights = "" if attribute.secret else "r"
            rights += "w" * attribute.writable + "p" * attribute.public
            value = "(secret)" if attribute.secret else shown(each.value(index))
            name = "%d %s" % (index, interface.attribute_name(index))
            table.add_row(title, name, attribute.kind.text, rights, value)
            title = ""
        for index, method in each.methods.items():
            name = "%d %s()" % (index, interface.method_name(index))
            table.add_row(title, name, method.kind.text, "x", "")
            title = ""
    Console().print(table)
    print("Clients: %d management, %d public." % (MANAGEMENT, PUBLIC))
    return 0


if __name__ == "__main__":
    sys.exit(main())
