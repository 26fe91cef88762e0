"""Models: what is shipped, what the compiler finds wrong and where, the signed file, and what the
numbers of events and alarms mean.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.contract import envelope
from gateway.contract.model import Model, Place
from gateway.contract.refused import Refused
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, obis
from hal.cpython.crypto import SystemCrypto
from hal.rt import cbor
from tools.cosem import source
from tools.package.__main__ import main
from tools.package.keys import load_trust
from tools.package.model import built_in, file, tables
from tools.package.model.compile import SECTIONS, Compiled, compile_source
from tools.package.model.file import ModelProblem

LEAST = "name: acme\nnumber: 3\n"


def compiled(text: str) -> Compiled:
    return compile_source(source.parse(text, "acme.yaml"))


def problems(text: str) -> list[str]:
    with pytest.raises(source.Problems) as caught:
        compiled(text)
    return [str(problem) for problem in caught.value.problems]


def log(name: str, code: str, number: int, language: str = "en") -> str:
    table = file.find(name).tables.log_of(obis.parse(code))
    assert table is not None, code
    return tables.event_word(table, number, language)


# ---------------------------------------------------------------- what is shipped


def test_the_six_are_there() -> None:
    assert file.names() == ["ami", "ami-sn", "idis", "india", "smr", "spain"]


@pytest.mark.parametrize("name", ["ami", "ami-sn", "idis", "india", "smr", "spain"])
def test_a_shipped_model_is_right(name: str) -> None:
    made = file.find(name)
    assert made.model.name == name
    assert Model.from_payload(made.model.to_payload()) == made.model
    assert tables.Tables.from_payload(made.tables.to_payload()) == made.tables
    assert made.tables.objects == made.model.objects
    for table in [*made.tables.events, *made.tables.alarms, *made.tables.status]:
        for row in table.meanings:
            assert row.english != row.spanish, row
            assert row.mark in ("", *tables.MARKS)


@pytest.mark.parametrize("name", ["idis", "india", "smr", "spain"])
def test_a_model_of_the_world_says_its_sources_and_what_is_in_none(name: str) -> None:
    made = file.find(name).tables
    assert made.sources
    assert made.unsure
    assert all(why for _, _, why in made.unsure)


def test_our_own_is_what_the_record_says_by_itself() -> None:
    own = file.find("ami").model
    assert own == Model("ami", own.number, own.description, objects=own.objects)


def test_the_firmwares_copy_is_of_these_files() -> None:
    assert built_in.MODULE.read_text() == built_in.source(), (
        "python -m tools.package.model.built_in makes it anew"
    )


def test_one_number_is_another_event_in_another_model() -> None:
    assert log("idis", "0.0.99.98.0.255", 48) == "48: global keys changed"
    assert log("smr", "0.0.99.98.0.255", 48) == "48: module cover opened (SMR)"
    assert log("india", "0.0.99.98.1.255", 67) == "67: overcurrent"
    assert log("spain", "0.0.99.98.1.255", 7, "es") == "7: tapa de bornes abierta"
    assert log("spain", "0.0.99.98.2.255", 7) == "7: switch enabled"


def test_a_number_that_is_in_no_table_stays_a_number() -> None:
    assert log("idis", "0.0.99.98.0.255", 4711) == "4711"
    assert file.find("idis").tables.log_of(obis.parse("1.0.99.1.0.255")) is None


def test_bits_of_numbers_bit_strings_and_octets() -> None:
    smr = file.find("smr").tables.bits_of(obis.parse("0.0.97.98.0.255"))
    assert smr is not None
    value = (axdr.DOUBLE_LONG_UNSIGNED, 1 << 13 | 1 << 5 | 1)
    assert tables.bit_words(smr, value) == ["clock invalid", "bit 5", "fraud attempt"]
    assert tables.bit_words(smr, (axdr.OCTET_STRING, b"\x20\x00"), "es") == ["intento de fraude"]
    india = file.find("india").tables.bits_of(obis.parse("0.0.94.91.18.255"))
    assert india is not None
    word = "".join("1" if bit in (0, 85) else "0" for bit in range(128))
    assert tables.bit_words(india, (axdr.BIT_STRING, word)) == ["voltage missing R", "last gasp"]
    assert tables.bit_words(india, (axdr.NULL, None)) == []


# ---------------------------------------------------------------- compiling


def test_the_least_model_is_as_our_own() -> None:
    model = compiled(LEAST).model
    assert model == Model("acme", 3, "")


def test_everything_can_be_said() -> None:
    model = compiled(
        LEAST
        + """
description: for a test
identity:
  serial: {read: data 0.0.96.1.0.255 value, as: hex}
  model: none
  firmware: data 0.0.96.1.8.255 value
access:
  client: 2
  server: 17
  public: none
  referencing: SN
  mechanism: sha256
  protection: general-glo
  policy: authenticated
  dialect: other
  association: 0.0.40.0.2.255
  security-setup: 0.0.43.0.2.255
  key-order: [unicast, master]
habits:
  max-pdu: 512
  services: [get, set, action]
  pause-ms: 250
  window: 2
  release: unanswered
counter:
  read: data 0.0.43.1.2.255 value
  start: 2500000000
image:
  object: 0.0.44.0.1.255
  broadcast: false
  verify-s: 1800
  activate-s: 600
"""
    ).model
    assert model.serial == Place(1, obis.parse("0.0.96.1.0.255"), 2, 2)
    assert model.model is None
    assert (model.client_sap, model.server_sap, model.public_sap) == (2, 17, 0)
    assert (model.referencing, model.mechanism, model.form, model.policy) == (1, 6, 3, 0x10)
    assert (model.dialect, model.key_order) == (1, [0, 3])
    assert model.services == acse.GET | acse.SET | acse.ACTION
    assert (model.max_pdu, model.pause_ms, model.window, model.release) == (512, 250, 2, 2)
    assert model.counter == Place(1, obis.parse("0.0.43.1.2.255"), 2, 3)
    assert model.start == 2500000000
    assert (model.verify_s, model.activate_s, model.broadcast) == (1800, 600, False)


def test_like_a_shipped_one_but_for_what_is_said() -> None:
    made = compiled(
        LEAST
        + """
like: idis
access: {client: 3}
objects:
  m-bus-log: none
  own-log: profile_generic 0.0.99.98.9.255
logs: {own-log: events}
events:
  events: {48: [our own, propio]}
"""
    )
    idis = file.find("idis")
    assert made.model.client_sap == 3
    assert made.model.serial == idis.model.serial
    assert made.tables.word_of(obis.parse("0.0.99.98.3.255")) == ""
    own = made.tables.log_of(obis.parse("0.0.99.98.9.255"))
    assert own is not None
    assert tables.event_word(own, 48) == "48: our own"
    assert tables.event_word(own, 49) == log("idis", "0.0.99.98.0.255", 49)
    unsure = [path for path, _, _ in made.tables.unsure]
    assert "access.client" not in unsure  # it is told now
    assert "access.policy" in unsure


def test_a_range_of_codes_is_a_row_for_each() -> None:
    text = LEAST + (
        "objects: {log: profile_generic 0.0.99.98.0.255}\nlogs: {log: all}\n"
        'events: {all: {7: [a, b], 230-232: [of the maker, del fabricante, "", NIE]}}\n'
    )
    (table,) = compiled(text).tables.events
    assert [row.number for row in table.meanings] == [7, 230, 231, 232]
    assert [row.mark for row in table.meanings] == ["", "NIE", "NIE", "NIE"]


WRONG = {
    "no name": ("number: 1\n", "acme.yaml:1:1: expected 'name:' in a model, but it is missing"),
    "name": ("name: Acme E9\nnumber: 1\n", "expected name to be 1..32 of a-z, 0-9 and -"),
    "number": ("name: acme\nnumber: 0\n", "acme.yaml:2:9: expected a number"),
    "section": (LEAST + "acess: {}\n", "acme.yaml:3:1: expected one of"),
    "meant": (LEAST + "acess: {}\n", "did you mean 'access'?"),
    "key": (LEAST + "access:\n  clients: 1\n", "acme.yaml:4:3: expected one of client"),
    "sap": (LEAST + "access:\n  client: 0\n", "acme.yaml:4:11: expected a SAP"),
    "word": (LEAST + "access: {mechanism: gcm}\n", "got 'gcm'; did you mean 'gmac'?"),
    "services": (LEAST + "habits: {services: [set]}\n", "at least `get`"),
    "service": (LEAST + "habits: {services: [get, reads]}\n", "got 'reads'"),
    "twice": (LEAST + "access: {key-order: [master, master]}\n", "at most once"),
    "place": (LEAST + "identity: {serial: 0.0.42.0.0.255}\n", "expected a class, an OBIS code and"),
    "reading": (
        LEAST + "identity:\n  serial: {read: data 0.0.42.0.0.255 value, as: string}\n",
        "acme.yaml:4:49: expected text or up-to-nul or hex or number, got 'string'",
    ),
    "obis": (LEAST + "image: {object: 0.0.44}\n", "expected an OBIS code"),
    "object": (LEAST + "objects:\n  log: 0.0.99.98.0.255\n", "acme.yaml:4:8: expected a class"),
    "class": (LEAST + "objects: {log: profile 0.0.99.98.0.255}\n", "mean 'profile_generic'?"),
    "log of nothing": (
        LEAST + "logs:\n  log: all\n",
        "acme.yaml:4:3: expected a word that stands in `objects:` too, got 'log'",
    ),
    "log of a register": (
        LEAST + "objects: {a: data 0.0.97.98.0.255}\nevents: {e: {1: [a, b]}}\nlogs: {a: e}\n",
        "expected an object of class profile_generic, a is a data",
    ),
    "no such events": (
        LEAST + "objects: {a: profile_generic 0.0.99.98.0.255}\nlogs: {a: b}\n",
        "acme.yaml:4:11: expected a table in `events:` for it, there is none",
    ),
    "events of no log": (LEAST + "events: {all: {1: [a, b]}}\n", "a log in `logs:` that has"),
    "alarms of nothing": (LEAST + "alarms: {a: {1: [a, b]}}\n", "stands in `objects:` too"),
    "code": (
        LEAST + "objects: {a: data 0.0.97.98.0.255}\nalarms: {a: {first: [a, b]}}\n",
        "acme.yaml:4:14: expected a number, or a range such as 230-249, got 'first'",
    ),
    "range": (
        LEAST + "objects: {a: data 0.0.97.98.0.255}\nalarms: {a: {9-3: [a, b]}}\n",
        "got '9-3'",
    ),
    "same": (
        LEAST + "objects: {a: data 0.0.97.98.0.255}\nalarms: {a: {1: [x, b], 2: [x, c]}}\n",
        "1 and 2 are both 'x'",
    ),
    "overlap": (
        LEAST + "objects: {a: data 0.0.97.98.0.255}\nalarms: {a: {1-3: [x, b], 2: [y, c]}}\n",
        "2 stands here a second time",
    ),
    "english alone": (
        LEAST + "objects: {a: data 0.0.97.98.0.255}\nalarms: {a: {1: [x]}}\n",
        "expected [English, Spanish]",
    ),
    "cim": (
        LEAST + "objects: {a: data 0.0.97.98.0.255}\nalarms: {a: {1: [x, y, 3.26]}}\n",
        "expected a CIM EndDeviceEventType",
    ),
    "mark": (
        LEAST + 'objects: {a: data 0.0.97.98.0.255}\nalarms: {a: {1: [x, y, "", sure]}}\n',
        "expected one of NIE, GK, OWN, got 'sure'",
    ),
    "like": (LEAST + "like: ides\n", "got 'ides'; did you mean 'idis'?"),
    "unsure of what": (
        LEAST + "unsure: {access.sap: [GK, x]}\n",
        "expected a place of this file, such as access.client, got 'access.sap'",
    ),
    "unsure why": (LEAST + "unsure: {access.client: [GK]}\n", "a mark and a reason"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_with_its_place(what: str) -> None:
    text, said = WRONG[what]
    assert any(said in problem for problem in problems(text)), problems(text)


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = problems(LEAST + "access: {client: 0, policy: none}\nimage: {verify-s: long}\n")
    assert [problem.split(":")[1] for problem in found] == ["3", "3", "4"]


def test_each_field_of_the_record_can_be_written() -> None:
    written = {field for section in SECTIONS.values() for field, _ in section.values()}
    assert written == {*Model.SHAPE.fields} - {"name", "number", "description", "objects"}


def test_more_objects_than_a_concentrator_keeps_are_refused() -> None:
    rows = ["  x%02d: profile_generic 1.0.99.1.%d.255" % (i, i) for i in range(64)]
    text = LEAST + "objects:\n" + "\n".join(rows) + "\n"
    assert len(compiled(text).model.objects) == 64
    assert "at most 64 objects" in problems(text + "  y: data 0.0.1.0.0.255\n")[0]


# ---------------------------------------------------------------- the file


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "operator.pem"
    assert main(["keygen", str(path)]) == 0
    return path


@pytest.fixture
def made(key: Path, tmp_path: Path) -> Path:
    yaml = tmp_path / "acme.yaml"
    yaml.write_text(LEAST + "like: idis\naccess: {client: 3}\n")
    assert main(["model", "compile", str(yaml), "--key", str(key)]) == 0
    return tmp_path / "acme.model"


def test_the_signed_model_is_what_a_concentrator_takes(key: Path, made: Path) -> None:
    trust = load_trust(key.with_suffix(".json"))
    signed, _ = file.split(made.read_bytes())
    model = Model.decode(signed, trust, SystemCrypto())
    assert (model.name, model.number, model.client_sap) == ("acme", 3, 3)
    assert model == file.find(str(made)).model
    assert file.find(str(made)).tables.events == file.find("idis").tables.events


def test_each_changed_octet_is_noticed(key: Path, made: Path) -> None:
    trust = load_trust(key.with_suffix(".json"))
    raw = made.read_bytes()
    file.verify(raw, trust, SystemCrypto())
    for place in [*range(0, 900, 7), *range(900, len(raw), 97)]:
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(Refused):
            file.verify(changed, trust, SystemCrypto())


def test_tables_of_another_model_are_refused(key: Path, made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("name: acme\nnumber: 4\n")
    assert main(["model", "compile", str(other), "--key", str(key)]) == 0
    mine, theirs = made.read_bytes(), (tmp_path / "other.model").read_bytes()
    mixed = tmp_path / "mixed.model"
    mixed.write_bytes(cbor.encode([file.split(mine)[0], file.split(theirs)[1]]))
    with pytest.raises(Refused, match="the tables are of acme 4, the model is acme 3"):
        file.find(str(mixed))


def test_what_is_no_model_is_told(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelProblem, match="one of the models shipped: ami, ami-sn, idis"):
        file.find("ids")
    signed, _ = file.split(made.read_bytes())
    part = tmp_path / "part.model"
    part.write_bytes(signed)
    with pytest.raises(Refused):
        file.find(str(part))
    assert envelope.split(signed)


# ---------------------------------------------------------------- the command


def test_list_names_them_our_own_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "list"]) == 0
    shown = capsys.readouterr().out
    assert shown.index(" ami ") < shown.index(" idis ") < shown.index(" spain ")


def test_check_says_what_is_in_it_or_where_it_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yaml = tmp_path / "acme.yaml"
    yaml.write_text(LEAST + "like: smr\n")
    assert main(["model", "check", str(yaml)]) == 0
    assert "right. acme 3: 21 objects, 200 events and bits" in capsys.readouterr().out
    yaml.write_text(LEAST + "access: {client: 0}\n")
    assert main(["model", "check", str(yaml)]) == 1
    assert "acme.yaml:3:18: expected a SAP" in capsys.readouterr().err


def test_show_has_both_languages_and_marks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "show", "smr", "--tables"]) == 0
    shown = capsys.readouterr().out
    for text in ("last gasp", "último aviso", "3.26.136.47", "OWN", "NIE", "0.0.99.98.5.255"):
        assert text in shown
    assert main(["model", "show", "smr"]) == 0
    brief = capsys.readouterr().out
    assert "último aviso" not in brief
    assert "126 events" in brief


def test_show_checks_the_signature(
    key: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = str(key.with_suffix(".json"))
    assert main(["model", "show", str(made), "--trust", trust]) == 0
    assert "good, by key" in capsys.readouterr().out
    assert main(["keygen", str(tmp_path / "other.pem")]) == 0
    assert main(["model", "show", str(made), "--trust", str(tmp_path / "other.json")]) == 1
    assert "NOT GOOD" in capsys.readouterr().out
    assert main(["model", "show", "idis", "--trust", trust]) == 1


def test_a_name_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "show", "ids"]) == 1
    assert capsys.readouterr().err.startswith("ami-package: ids: expected a file, or one of")
