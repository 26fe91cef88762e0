"""Models of meters, secrets and counters: from the command line to the board, over Mosquitto."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.contract.envelope import digest_of
from gateway.contract.messages import Hello, Reports
from gateway.contract.model import Model
from gateway.contract.reports import Refusal, Report
from tests.unit.hes.orders import CONCENTRATOR, METERS
from tests.unit.hes.test_hes_service import run, serving, until
from tests.unit.hes.test_hes_with_gateway import BOARD_KEY, running
from tools.hes.__main__ import main
from tools.hes.orders import security
from tools.package.model import file
from tools.package.model.compile import compile_file


def hes(tmp_path: Path, *arguments: str) -> int:
    return main(["--db", str(tmp_path / "hes.sqlite"), *arguments])


def model_file(tmp_path: Path, key, number: int = 1, name: str = "acme", client: int = 3) -> str:
    source = tmp_path / "m.yaml"
    source.write_text(
        "{name: %s, number: %d, like: idis, description: x, access: {client: %d}}"
        % (name, number, client)
    )
    made = tmp_path / ("%s-%d.model" % (name, number))
    made.write_bytes(file.signed(compile_file(source), key))
    return str(made)


def states(store) -> list[tuple[str, int, str]]:
    every = ("submitted", "sent", "taken", "rejected")
    return [(m.what, m.number, m.state) for m in store.trust.numbered(CONCENTRATOR, every)]


def test_a_model_reaches_the_board(tmp_path, store, broker, key, capsys) -> None:
    files = [model_file(tmp_path, key), model_file(tmp_path, key, 7, "other")]
    send = ("model", "send", "--concentrator", CONCENTRATOR)

    async def scenario() -> None:
        async with (
            serving(store, broker.url),
            running(tmp_path / "board", broker.port, key) as gateway,
        ):
            assert hes(tmp_path, *send, *files) == 0
            await until(lambda: gateway.inventory.models_sent() == [("acme", 1), ("other", 7)])
            assert gateway.inventory.models().model("acme").client_sap == 3
            await until(lambda: [each[2] for each in states(store)] == ["taken", "taken"])
            # One that the board has in a higher number is refused, by name.
            assert hes(tmp_path, *send, model_file(tmp_path, key, 1, "idis")) == 0
            await until(lambda: states(store)[2] == ("idis", 1, "rejected"))
            assert hes(tmp_path, *send, model_file(tmp_path, key, 7, "other")) == 1
            assert "expected a number above 7" in capsys.readouterr().err
            assert hes(tmp_path, *send, model_file(tmp_path, key, 2, client=9)) == 0
            await until(lambda: gateway.inventory.models().model("acme").client_sap == 9)
            await until(lambda: states(store)[3] == ("acme", 2, "taken"))

    run(scenario())
    capsys.readouterr()
    assert hes(tmp_path, "model", "list", "--concentrator", CONCENTRATOR) == 0
    shown = capsys.readouterr().out
    assert "acme" in shown and "rejected: replayed" in shown and "taken" in shown


def test_a_board_that_lost_its_models_has_them_again(tmp_path, store, broker, key) -> None:
    send = ("model", "send", "--concentrator", CONCENTRATOR)

    async def scenario() -> None:
        async with serving(store, broker.url):
            assert hes(tmp_path, *send, model_file(tmp_path, key, 1, "other")) == 0
            for number in (1, 2):
                assert hes(tmp_path, *send, model_file(tmp_path, key, number)) == 0
            async with running(tmp_path / "board", broker.port, key):
                await until(lambda: {each[2] for each in states(store)} == {"taken"})
            async with running(tmp_path / "new-board", broker.port, key) as gateway:
                await until(lambda: gateway.inventory.models_sent() == [("acme", 2), ("other", 1)])

    run(scenario())


def send(store) -> None:
    for each in store.line.numbered(CONCENTRATOR, ("submitted",)):
        store.line.numbered_sent(each)


def test_what_a_hello_tells_of_models(store) -> None:
    trust, line = store.trust, store.line
    for name, number in (("a", 1), ("a", 3), ("b", 2)):
        trust.add_numbered("model", CONCENTRATOR, number, name, b"%s%d" % (name.encode(), number))
    trust.add_numbered("keys", CONCENTRATOR, 1, "a", b"keys")

    def hello(*models: tuple[str, int]) -> list[tuple[str, int]]:
        """The models that are sent now."""
        line.take_hello(CONCENTRATOR, Hello(1, 0, [], models=list(models)))
        found = line.numbered(CONCENTRATOR)
        return sorted((each.what, each.number) for each in found if each.topic == "model")

    assert hello(("a", 2), ("c", 9)) == [("a", 1), ("a", 3), ("b", 2)]
    assert states(store) == [
        ("a", 1, "submitted"),
        ("a", 3, "submitted"),
        ("b", 2, "submitted"),
        ("a", 1, "submitted"),
    ]
    assert hello(("a", 3), ("b", 5)) == [("b", 2)]
    # What it has in a higher number, and not from us, it will refuse, and say so.
    assert [each[2] for each in states(store)] == ["taken", "taken", "submitted", "submitted"]
    assert hello(("b", 2)) == [("a", 3)]
    assert hello(("a", 2)) == [("a", 3), ("b", 2)]
    assert hello() == [("a", 3), ("b", 2)]
    line.take_hello("other", Hello(1, 0, []))
    assert hello(("a", 3), ("b", 2)) == []


def test_a_lost_model_that_is_refused_now_is_not_sent_for_ever(store) -> None:
    """Who signed it is not trusted any more, say."""
    store.trust.add_numbered("model", CONCENTRATOR, 1, "a", b"model")
    store.line.take_hello(CONCENTRATOR, Hello(1, 0, [], models=[("a", 1)]))
    assert states(store) == [("a", 1, "taken")]
    refusal = Refusal("model", digest_of(b"model"), None, "unknown-signer", "why")
    # of a second copy
    store.line.take_reports(CONCENTRATOR, Reports(5, [Report(1, 0, refusal)]))
    assert states(store) == [("a", 1, "taken")]
    store.line.take_hello(CONCENTRATOR, Hello(1, 0, []))
    assert states(store) == [("a", 1, "submitted")]
    send(store)
    store.line.take_reports(CONCENTRATOR, Reports(5, [Report(2, 0, refusal)]))
    assert states(store) == [("a", 1, "rejected")]
    store.line.take_hello(CONCENTRATOR, Hello(1, 0, []))
    assert store.line.numbered(CONCENTRATOR) == []


def test_a_refused_model_is_not_sent_again(store) -> None:
    store.trust.add_numbered("model", CONCENTRATOR, 1, "a", b"model")
    send(store)
    refusal = Refusal("model", digest_of(b"model"), None, "bad-model", "why")
    store.line.take_reports(CONCENTRATOR, Reports(5, [Report(1, 0, refusal)]))
    assert states(store) == [("a", 1, "rejected")] and store.line.numbered(CONCENTRATOR) == []
    assert store.reports.events() == []


def test_what_is_no_model_is_not_sent(tmp_path, store, capsys) -> None:
    wrong = tmp_path / "x.model"
    for content in (b"", b"rubbish", Model("x", 1, "").to_payload()):
        wrong.write_bytes(content)
        assert hes(tmp_path, "model", "send", "--concentrator", CONCENTRATOR, str(wrong)) == 1
        assert "x.model: bad-model" in capsys.readouterr().err
    assert hes(tmp_path, "model", "send", "--concentrator", CONCENTRATOR, "no-such") == 1
    assert hes(tmp_path, "model", "send", "--concentrator", "NO SUCH", str(wrong)) == 1
    assert hes(tmp_path, "model", "list", "--concentrator", CONCENTRATOR) == 0
    assert "no model was sent" in capsys.readouterr().out


@pytest.mark.parametrize("counter", [0, 2_500_000_000])
def test_secrets_and_counters_reach_the_board(tmp_path, store, broker, key, counter) -> None:
    key.save(tmp_path / "k.pem")
    (tmp_path / "board.key").write_text(BOARD_KEY.hex() + "\n")
    ek, ak, secret = bytes(range(16)), bytes(range(200, 216)), b"a password"
    rows = [
        {"serial": METERS[0], "lls": secret.hex()},
        {"serial": METERS[1], "ek": ek.hex(), "ak": ak.hex(), "counter": 77},
        {"serial": METERS[2], "ek": ek.hex(), "ak": ak.hex()},
    ]
    (tmp_path / "keys.jsonl").write_text("\n".join(map(json.dumps, rows)))
    board = tmp_path / "board"
    board.mkdir()
    lines = ['{"serial": "%s", "paths": []}' % serial for serial in METERS]
    (board / "meters.jsonl").write_text("\n".join(lines))
    command = ["keys", "--concentrator", CONCENTRATOR, "--key", str(tmp_path / "k.pem")]
    command += ["--meter-keys", str(tmp_path / "keys.jsonl")]
    command += ["--board-key", str(tmp_path / "board.key")]
    if counter:
        command += ["--counter", str(counter)]

    async def scenario() -> None:
        async with serving(store, broker.url), running(board, broker.port, key) as gateway:
            assert hes(tmp_path, *command) == 0
            await until(lambda: gateway.session.trust.keys_number == 1)
            found = [gateway.inventory.keys(serial) for serial in METERS[:3]]
            assert [(each.ek, each.lls) for each in found] == [(b"", secret), (ek, b""), (ek, b"")]
            assert [each.counter for each in found] == [counter, 77, counter]

    run(scenario())
    for path in [*board.iterdir(), *tmp_path.glob("hes.sqlite*")]:
        content = path.read_bytes()
        for hidden in (ek, ak, secret):
            assert hidden not in content and hidden.hex().encode() not in content, path


def test_wrong_secrets_and_counters_are_named_by_line(tmp_path, capsys) -> None:
    (tmp_path / "board.key").write_text(BOARD_KEY.hex() + "\n")
    command = ["keys", "--concentrator", CONCENTRATOR, "--key", "none.pem"]
    command += ["--meter-keys", str(tmp_path / "keys.jsonl")]
    command += ["--board-key", str(tmp_path / "board.key")]
    keys = '"ek": "%s", "ak": "%s"' % ("00" * 16, "11" * 16)
    for line in (
        '{"serial": "A"}',
        '{"serial": "A", "lls": ""}',
        '{"serial": "A", "lls": "xx"}',
        '{"serial": "A", "lls": "%s"}' % ("22" * 65),
        '{"serial": "A", "lls": "22", "ek": "%s"}' % ("00" * 16),
        '{"serial": "A", %s, "counter": -1}' % keys,
        '{"serial": "A", %s, "counter": "7"}' % keys,
        '{"serial": "A", %s, "counter": true}' % keys,
    ):
        (tmp_path / "keys.jsonl").write_text(line)
        with pytest.raises(security.SecurityProblem, match=r"keys\.jsonl:1: expected"):
            security.load_meter_keys(tmp_path / "keys.jsonl")
    for wrong in ("-1", "4294967296", "x"):
        with pytest.raises(SystemExit):
            hes(tmp_path, *command, "--counter", wrong)
        assert "expected an integer 0..4026531839" in capsys.readouterr().err
