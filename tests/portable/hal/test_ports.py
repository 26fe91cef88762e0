"""What travels over the ports: each value where it was given, and what is assumed otherwise."""

from __future__ import annotations

from hal import ports
from hal.ports import Capabilities, DutyCycle, Joined, Left, Message, Quality, Rx, TxDone
from hal.rt.tls_files import TlsFiles


def test_what_a_modem_can_do():
    least = Capabilities("plc", 200, 100, 3, True)
    assert (least.name, least.unicast_mtu, least.broadcast_mtu) == ("plc", 200, 100)
    assert (least.in_flight, least.joins) == (3, True)
    assert (least.addresses, least.confirmed, least.routes) == ("", False, 0)
    assert (least.node_list, least.duty_permille) == (False, 0)
    most = Capabilities("rf", 1, 2, 3, False, "wmbus", True, 4, True, 5)
    assert (most.addresses, most.confirmed, most.routes) == ("wmbus", True, 4)
    assert (most.node_list, most.duty_permille) == (True, 5)


def test_where_the_keys_of_a_connection_lie():
    most = TlsFiles("ca", "certificate", "key")
    assert (most.ca, most.certificate, most.key) == ("ca", "certificate", "key")
    least = TlsFiles("ca")
    assert (least.ca, least.certificate, least.key) == ("ca", None, None)


def test_events():
    done = TxDone(7, 2)
    assert (done.handle, done.status) == (7, 2)
    quality = Quality(-70, 12, 99, 3)
    assert (quality.rssi, quality.snr, quality.lqi, quality.hops) == (-70, 12, 99, 3)
    nothing = Quality()
    assert (nothing.rssi, nothing.snr, nothing.lqi, nothing.hops) == (None, None, None, None)
    heard = Rx("address", 1, 16, b"data", quality)
    assert (heard.address, heard.source_sap, heard.destination_sap) == ("address", 1, 16)
    assert heard.data == b"data" and heard.quality is quality
    assert (Joined("a").address, Left("b").address) == ("a", "b")


def test_messages():
    message = Message("up/report", b"payload")
    assert (message.topic, message.payload, message.retain) == ("up/report", b"payload", False)
    assert Message("up/report", b"", True).retain


def test_errors():
    spent = DutyCycle(4500)
    assert spent.wait_ms == 4500 and str(spent) == "duty cycle spent, next frame in 4500 ms"
    for kind in (ports.Busy, ports.TooLong, ports.NoRoute, DutyCycle):
        assert issubclass(kind, ports.ModemError)
    assert issubclass(ports.ModemError, Exception) and not issubclass(ports.ModemError, OSError)
    assert issubclass(ports.CryptoError, ports.PortError)
