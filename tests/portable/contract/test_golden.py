"""Every message, order, package and manifest is what an earlier version wrote, octet by octet, and
means the same: tests/data/golden/messages.json.

A case is {"class", "about", "fields", "hex"}; octets stand as h'00ff' there, an object inside a
field as its own {"class", its fields}.
"""

from __future__ import annotations

import json

from gateway.contract import envelope, messages
from gateway.contract.image_file import ImageFile
from gateway.contract.job import Job
from gateway.contract.key_change import KeyChange
from gateway.contract.line_certificate import LineCertificate, LineStatus
from gateway.contract.model import Model
from gateway.contract.package import Package
from gateway.contract.trust_change import TrustChange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "tests/data/golden/messages.json"
CLASSES: dict[str, Any] = {
    "State": messages.State,
    "Hello": messages.Hello,
    "Reports": messages.Reports,
    "Pull": messages.Pull,
    "Meters": messages.Meters,
    "Progress": messages.Progress,
    "Cancel": messages.Cancel,
    "Pause": messages.Pause,
    "Chunk": messages.Chunk,
    "Ack": messages.Ack,
    "Resend": messages.Resend,
    "Ask": messages.Ask,
    "Memory": messages.Memory,
    "Time": messages.Time,
    "SignedTime": messages.SignedTime,
    "TrustChange": TrustChange,
    "KeyChange": KeyChange,
    "LineStatus": LineStatus,
    "LineCertificate": LineCertificate,
    "Job": Job,
}
SIGNED_INSIDE: dict[str, Any] = {"Package": Package, "ImageFile": ImageFile, "Model": Model}


def cases() -> list[Any]:
    with open(FILE) as file:
        return list(json.load(file))


def shown(value: Any) -> Any:
    """As in the file; an object's fields are compared one by one instead, by same()."""
    if isinstance(value, (bytes, bytearray)):
        # MicroPython: the hex of no octets is b'', not ''.
        return "h'%s'" % (value.hex() if value else "")
    if isinstance(value, (list, tuple)):
        return [shown(element) for element in value]
    return value


def same(value: Any, held: Any) -> bool:
    if isinstance(held, dict) and "class" in held:
        if type(value).__name__ != held["class"]:
            return False
        return all(same(getattr(value, name), held[name]) for name in held if name != "class")
    if isinstance(held, list):
        if not isinstance(value, (list, tuple)) or len(value) != len(held):
            return False
        return all(same(value[place], held[place]) for place in range(len(held)))
    return type(shown(value)) is type(held) and bool(shown(value) == held)


def check(case: Any, message: Any) -> None:
    for name, held in case["fields"].items():
        value = getattr(message, name)
        assert same(value, held), "%s, %s: %s is %r, expected %r" % (
            case["class"],
            case["about"],
            name,
            value,
            held,
        )


def test_messages_mean_what_they_meant_and_become_the_same_octets() -> None:
    seen = []
    for case in cases():
        kind = CLASSES.get(case["class"])
        if kind is not None:
            raw = bytes.fromhex(case["hex"])
            message = kind.decode(raw)
            check(case, message)
            assert message.encode() == raw, (case["class"], case["about"])
            seen.append(case["class"])
    assert sorted(set(seen)) == sorted(CLASSES)


def test_packages_and_manifests() -> None:
    seen = []
    for case in cases():
        kind = SIGNED_INSIDE.get(case["class"])
        if kind is not None:
            raw = bytes.fromhex(case["hex"])
            content = kind.from_payload(raw)
            check(case, content)
            assert content.to_payload() == raw, (case["class"], case["about"])
            seen.append(case["class"])
    assert sorted(set(seen)) == sorted(SIGNED_INSIDE)


def test_envelopes() -> None:
    envelopes = [case for case in cases() if case["class"] == "envelope"]
    assert envelopes
    for case in envelopes:
        raw = bytes.fromhex(case["hex"])
        kid, payload, signature = envelope.split(raw)
        fields = case["fields"]
        assert [shown(kid), shown(payload)] == [fields["kid"], fields["payload"]]
        assert shown(signature) == fields["signature"]
        assert shown(envelope.sign_structure(payload)) == fields["structure"]
        asked: list[bytes] = []
        assert envelope.sign(payload, kid, signer(signature, asked)) == raw
        assert shown(asked[0]) == fields["structure"]


def signer(signature: bytes, asked: list[bytes]) -> Any:
    def private_sign(structure: bytes) -> bytes:
        asked.append(structure)
        return signature

    return private_sign
