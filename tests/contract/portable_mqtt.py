"""What hal.ports.Uplink promises, against a real broker.

Environment: MQTT_PORT, MQTT_TLS_PORT, MQTT_FREE_PORT (nobody listens), MQTT_PID_FILE, MQTT_START
(starts the broker again on the same ports), MQTT_CERTIFICATES (folder), MQTT_PYTHON (this runtime),
MQTT_SILENT_PORT (accepts connections and says nothing).
"""

# ruff: noqa: ASYNC221 - signals and processes for the broker, done in no time

from __future__ import annotations

import asyncio
import errno
import os

from hal.ports import Message, PortError
from hal.rt.tls_files import TlsFiles
from tests.contract.here import MqttUplink, SystemClock
from tests.portable.support import random_bytes, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

LIMIT = 4096
SOON = 60_000  # ms; nothing here takes as long
CLOCK = SystemClock()


def env(name: str) -> str:
    value = os.getenv(name)
    assert value, "%s is not in the environment" % name
    return value


def uplink(
    client_id: str,
    port: str = "MQTT_PORT",
    host: str = "localhost",
    tls: TlsFiles | None = None,
    keepalive_s: int = 30,
    password: str = "open sesame",
) -> MqttUplink:
    return MqttUplink(
        host, int(env(port)), client_id, "board", password, tls, LIMIT, keepalive_s=keepalive_s
    )


async def receive(link: MqttUplink) -> Message:
    return await CLOCK.wait_for_ms(link.receive(), SOON)


async def fails(
    kind: type[Exception] | tuple[type[Exception], ...], coroutine: Coroutine[Any, Any, Any]
) -> Exception:
    """Await and return the exception of class `kind` that must come."""
    try:
        await CLOCK.wait_for_ms(coroutine, SOON)
    except kind as error:
        # On CPython the end of our patience is an OSError too.
        late = isinstance(error, asyncio.TimeoutError) and not error.args
        assert kind is asyncio.TimeoutError or not late, "nothing came of it"
        return error
    raise AssertionError("nothing failed")


async def result_of(task: asyncio.Task[Any]) -> Any:
    return await task


def kill(signal: str) -> None:
    assert os.system("kill -%s $(cat %s)" % (signal, env("MQTT_PID_FILE"))) == 0


def files(authority: str = "ca", client: str | None = "client") -> TlsFiles:
    folder = env("MQTT_CERTIFICATES") + "/"
    if client is None:
        return TlsFiles(folder + authority + ".pem")
    return TlsFiles(
        folder + authority + ".pem", folder + client + ".pem", folder + client + ".key.pem"
    )


def test_roundtrip() -> None:
    async def body() -> None:
        link = uplink("one")
        await link.connect(None, ["down/#"], SOON)
        for payload in (b"", b"\x00", b"\xff\xfe", random_bytes(1, LIMIT)):
            await link.publish(Message("down/x", payload), SOON)
            got = await receive(link)
            assert (got.topic, got.payload, got.retain) == ("down/x", payload, False)
        await link.disconnect()
        await link.disconnect()

    run(body())


def test_two_clients_and_topics() -> None:
    async def body() -> None:
        one = uplink("one")
        two = uplink("two")
        await one.connect(None, ["a/+/c", "b"], SOON)
        await two.connect(None, [], SOON)
        await two.publish(Message("a/b/d", b"not for one"), SOON)
        await two.publish(Message("a/b/c", b"1"), SOON)
        await two.publish(Message("b", b"2"), SOON)
        assert (await receive(one)).payload == b"1"
        assert (await receive(one)).payload == b"2"
        await one.disconnect()
        await two.disconnect()

    run(body())


def test_refused_port() -> None:
    async def body() -> None:
        link = uplink("one", port="MQTT_FREE_PORT")
        error = await fails(OSError, link.connect(None, [], SOON))
        assert "localhost" in str(error) and "refused" in str(error).lower(), error
        await fails(OSError, link.publish(Message("x", b""), SOON))
        await fails(OSError, link.receive())
        await link.disconnect()

    run(body())


def test_silent_server() -> None:
    async def body() -> None:
        link = uplink("one", port="MQTT_SILENT_PORT")
        for _ in range(2):
            error = await fails(OSError, link.connect(None, [], 300))
            assert "within 300 ms" in str(error)
        await link.disconnect()

    run(body())


def test_wrong_password() -> None:
    async def body() -> None:
        link = uplink("one", password="guessed-secret")
        error = await fails((OSError, PortError), link.connect(None, [], SOON))
        assert "guessed-secret" not in str(error)
        assert "uthor" in str(error), error
        right = uplink("one")
        await right.connect(None, [], SOON)
        await right.disconnect()

    run(body())


def test_after_a_refusal_nothing_is_connected() -> None:
    async def body() -> None:
        link = uplink("one", password="guessed-secret")
        await fails((OSError, PortError), link.connect(None, [], SOON))
        for call in (link.publish(Message("x", b""), SOON), link.receive()):
            error = await fails(OSError, call)
            assert isinstance(error, OSError) and error.errno == errno.ENOTCONN, error
            assert "localhost" in str(error) and "not connected" in str(error), error
        await link.disconnect()

    run(body())


def test_retained() -> None:
    async def body() -> None:
        link = uplink("one")
        await link.connect(None, [], SOON)
        await link.publish(Message("state", b"first", True), SOON)
        await link.publish(Message("state", b"second", True), SOON)
        await link.disconnect()
        await link.connect(None, ["state"], SOON)
        got = await receive(link)
        assert (got.topic, got.payload, got.retain) == ("state", b"second", True)
        await link.disconnect()

    run(body())


def test_will_not_sent_on_disconnect() -> None:
    async def body() -> None:
        watcher = uplink("watcher")
        await watcher.connect(None, ["state/#"], SOON)
        link = uplink("one")
        await link.connect(Message("state/one", b"lost"), [], SOON)
        await link.publish(Message("state/one", b"here"), SOON)
        await link.disconnect()
        await watcher.publish(Message("state/end", b"end"), SOON)
        assert (await receive(watcher)).payload == b"here"
        assert (await receive(watcher)).payload == b"end"
        await watcher.disconnect()

    run(body())


def be_the_victim() -> None:
    """Connect with a will and stay until killed (run in a process of its own)."""

    async def body() -> None:
        link = uplink("victim")
        await link.connect(Message("state/victim", b"lost", True), [], SOON)
        await link.publish(Message("state/victim", b"here", True), SOON)
        await link.receive()

    run(body())


def test_will_sent_on_abrupt_loss() -> None:
    async def body() -> None:
        watcher = uplink("watcher")
        await watcher.connect(None, ["state/#"], SOON)
        pid_file = env("MQTT_CERTIFICATES") + "/victim.pid"
        program = "import tests.contract.portable_mqtt as m; m.be_the_victim()"
        os.system('%s -c "%s" & echo $! > %s' % (env("MQTT_PYTHON"), program, pid_file))
        assert (await receive(watcher)).payload == b"here"
        os.system("kill -9 $(cat %s)" % pid_file)
        assert (await receive(watcher)).payload == b"lost"
        await watcher.disconnect()
        await watcher.connect(None, ["state/victim"], SOON)
        got = await receive(watcher)
        assert got.retain and got.payload == b"lost"
        await watcher.disconnect()

    run(body())


def test_oversized() -> None:
    async def body() -> None:
        link = uplink("one")
        await link.connect(None, ["big"], SOON)
        for size in (LIMIT + 1, 300_000, 3_000_000):
            publish_noise(size)
            got = await receive(link)
            assert (got.topic, got.payload) == ("oversized/big", b""), (got.topic, len(got.payload))
        await link.publish(Message("big", b"fits"), SOON)
        assert (await receive(link)).payload == b"fits"
        await link.disconnect()

    run(body())


def publish_noise(size: int) -> None:
    """By the broker's own client, so that this process never holds the payload."""
    os.system(
        "head -c %d /dev/zero | %s -p %s -t big -q 1 -s &"
        % (size, env("MQTT_PUBLISH"), env("MQTT_PORT"))
    )


def test_many_in_order() -> None:
    async def body() -> None:
        one = uplink("one")
        two = uplink("two")
        await one.connect(None, ["n"], SOON)
        await two.connect(None, [], SOON)

        async def send() -> None:
            for i in range(200):
                await two.publish(Message("n", b"%d" % i), SOON)

        sending = asyncio.create_task(send())
        for i in range(200):
            assert (await receive(one)).payload == b"%d" % i
        await sending
        await one.disconnect()
        await two.disconnect()

    run(body())


def test_publishing_side_by_side() -> None:
    async def body() -> None:
        link = uplink("one")
        await link.connect(None, ["n"], SOON)

        async def send(first: int) -> None:
            for i in range(first, first + 10):
                await link.publish(Message("n", b"%d" % i), SOON)

        got: list[int] = []

        async def take() -> None:
            while len(got) < 50:
                got.append(int((await receive(link)).payload))

        await asyncio.gather(send(0), send(10), send(20), send(30), send(40), take())
        assert sorted(got) == list(range(50))
        await link.disconnect()

    run(body())


def test_a_slow_receiver_loses_nothing() -> None:
    async def body() -> None:
        one = uplink("one")
        two = uplink("two")
        await one.connect(None, ["n"], SOON)
        await two.connect(None, [], SOON)
        for i in range(60):
            await two.publish(Message("n", b"%d" % i), SOON)
        await CLOCK.sleep_ms(200)
        for i in range(60):
            assert (await receive(one)).payload == b"%d" % i
        await one.disconnect()
        await two.disconnect()

    run(body())


BURST = 2000


def be_the_burst() -> None:
    """Publish BURST messages as fast as the broker takes them (in a process of its own)."""

    async def body() -> None:
        link = uplink("burst")
        await link.connect(None, [], SOON)
        for first in range(0, BURST, 8):
            numbers = range(first, first + 8)
            await asyncio.gather(*[link.publish(Message("n", b"%d" % n), SOON) for n in numbers])
        await link.publish(Message("sent", b""), SOON)
        await link.disconnect()

    run(body())


def test_a_burst_loses_nothing() -> None:
    """The whole burst is with the broker before the first message is taken."""

    async def body() -> None:
        one = uplink("one")
        two = uplink("two")
        await one.connect(None, ["n"], SOON)
        await two.connect(None, ["sent"], SOON)
        program = "import tests.contract.portable_mqtt as m; m.be_the_burst()"
        os.system('%s -c "%s" &' % (env("MQTT_PYTHON"), program))
        await CLOCK.wait_for_ms(two.receive(), 6 * SOON)
        for i in range(BURST):
            assert (await receive(one)).payload == b"%d" % i
        await one.publish(Message("n", b"after"), SOON)
        assert (await receive(one)).payload == b"after"
        await one.disconnect()
        await two.disconnect()

    run(body())


def test_broker_killed_and_back() -> None:
    async def body() -> None:
        link = uplink("one")
        await link.connect(None, ["n"], SOON)
        receiving = asyncio.create_task(link.receive())
        await CLOCK.sleep_ms(100)
        kill("9")
        await fails(OSError, result_of(receiving))
        await fails(OSError, link.receive())
        await fails(OSError, link.publish(Message("n", b""), SOON))
        await fails(OSError, link.connect(None, ["n"], SOON))
        os.system(env("MQTT_START"))
        for attempt in range(100):  # a daemon: it may not listen yet
            try:
                await link.connect(None, ["n"], SOON)
                break
            except OSError:
                assert attempt < 99
                await CLOCK.sleep_ms(50)
        await link.publish(Message("n", b"again"), SOON)
        assert (await receive(link)).payload == b"again"
        await link.disconnect()

    run(body())


def test_broker_killed_under_a_publish() -> None:
    async def body() -> None:
        link = uplink("one")
        await link.connect(None, [], SOON)
        kill("STOP")
        publishing = asyncio.create_task(link.publish(Message("n", b"?"), SOON * 2))
        await CLOCK.sleep_ms(100)
        kill("9")
        await fails(OSError, result_of(publishing))
        await link.disconnect()

    run(body())


def test_publish_without_answer_times_out() -> None:
    async def body() -> None:
        link = uplink("one")
        await link.connect(None, [], SOON)
        kill("STOP")
        await fails(asyncio.TimeoutError, link.publish(Message("n", b"?"), 200))
        kill("CONT")
        await link.publish(Message("n", b"!"), SOON)
        await link.disconnect()

    run(body())


def test_silence_ends_the_connection() -> None:
    async def body() -> None:
        link = uplink("one", keepalive_s=3)
        await link.connect(None, ["n"], SOON)
        await CLOCK.sleep_ms(7500)  # an idle connection lives on
        await link.publish(Message("n", b"alive"), SOON)
        assert (await receive(link)).payload == b"alive"
        kill("STOP")
        await fails(OSError, link.receive())
        kill("CONT")
        await link.connect(None, ["n"], SOON)
        await link.publish(Message("n", b"again"), SOON)
        assert (await receive(link)).payload == b"again"
        await link.disconnect()

    run(body())


def test_cancelled_receive_loses_nothing() -> None:
    async def body() -> None:
        link = uplink("one")
        await link.connect(None, ["n"], SOON)
        for i in range(5):
            await fails(asyncio.TimeoutError, CLOCK.wait_for_ms(link.receive(), 20))
            await link.publish(Message("n", b"%d" % i), SOON)
            assert (await receive(link)).payload == b"%d" % i
        await link.disconnect()

    run(body())


def test_tls_mutual() -> None:
    async def body() -> None:
        link = uplink("one", port="MQTT_TLS_PORT", tls=files())
        await link.connect(None, ["n"], SOON)
        for payload in (b"private", random_bytes(2, LIMIT)):
            await link.publish(Message("n", payload), SOON)
            assert (await receive(link)).payload == payload
        await link.disconnect()

    run(body())


def refuses(tls: TlsFiles | None, host: str = "localhost") -> None:
    async def body() -> None:
        link = uplink("one", port="MQTT_TLS_PORT", tls=tls, host=host)
        error = await fails((OSError, PortError), link.connect(None, ["n"], SOON))
        assert "within" not in str(error), error
        await fails(OSError, link.publish(Message("n", b""), SOON))
        await link.disconnect()
        right = uplink("one", port="MQTT_TLS_PORT", tls=files())
        await right.connect(None, [], SOON)
        await right.disconnect()

    run(body())


def test_tls_wrong_authority() -> None:
    refuses(files(authority="other-ca"))


def test_tls_wrong_host_name() -> None:
    refuses(files(), host="127.0.0.1")


def test_tls_no_client_certificate() -> None:
    refuses(files(client=None))


def test_tls_client_of_another_authority() -> None:
    refuses(files(client="other-client"))


def test_plain_to_a_tls_port() -> None:
    refuses(None)


def test_damaged_certificate_file() -> None:
    refuses(files(authority="not-a"))
