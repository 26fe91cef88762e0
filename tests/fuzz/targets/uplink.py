"""What HES and concentrator say to each other."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import hal.micropython
from gateway.contract import envelope, job, messages, model, package, trust_change
from gateway.contract.refused import Refused
from hal.rt import cbor
from tests.fuzz.target import OpenCrypto, same, target


def _micropython_cbor() -> Any:
    """The CBOR module that boards have instead of cbor2."""
    path = Path(hal.micropython.__file__).parent / "lib" / "cbor2.py"
    spec = importlib.util.spec_from_file_location("micropython_cbor2", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_CBOR = _micropython_cbor()


@target
def cbor_item(data: bytes) -> None:
    """CBOR as our messages use it; both runtimes' decoders give the same."""
    try:
        item = cbor.decode(data, (18,))
    except cbor.CborError:
        return  # no library sees what is refused here
    bare = item.value if isinstance(item, cbor.CBORTag) else item
    theirs = _CBOR.loads(data)
    theirs = theirs.value if isinstance(theirs, _CBOR.CBORTag) else theirs
    assert same(theirs, bare) or isinstance(bare, dict)
    assert same(cbor.decode(cbor.encode(item), (18,)), item) or "nan" in repr(item)


_MESSAGES = (
    messages.State,
    messages.Hello,
    messages.Reports,
    messages.Pull,
    messages.Cancel,
    messages.Chunk,
    messages.Ack,
    messages.Resend,
    messages.Time,
    messages.Pause,
    messages.SignedTime,
    trust_change.TrustChange,
)


@target
def uplink_message(data: bytes) -> None:
    """Every message between HES and concentrator; the first byte says which."""
    if not data:
        return
    kind = _MESSAGES[data[0] % len(_MESSAGES)]
    try:
        message = kind.decode(data[1:])
    except Refused:
        return
    again = message.encode()
    assert kind.decode(again).encode() == again


@target
def uplink_job(data: bytes) -> None:
    """The payload of a job."""
    try:
        found = job.Job.decode(data)
    except Refused:
        return
    assert job.Job.decode(found.encode()).encode() == found.encode()


@target
def uplink_envelope(data: bytes) -> None:
    """COSE_Sign1, with a signature that always matches."""
    try:
        payload, kid = envelope.verify(data, [(b"k", bytes(64))], OpenCrypto())
    except Refused:
        return
    assert kid == b"k"
    assert envelope.split(envelope.sign(payload, kid, lambda _: bytes(64)))[1] == payload


@target
def uplink_package(data: bytes) -> None:
    """The content of a package."""
    try:
        found = package.Package.from_payload(data)
    except Refused:
        return
    again = found.to_payload()
    assert package.Package.from_payload(again).to_payload() == again


@target
def uplink_model(data: bytes) -> None:
    """The content of a model of meter."""
    try:
        found = model.Model.from_payload(data)
    except Refused:
        return
    again = found.to_payload()
    assert model.Model.from_payload(again).to_payload() == again
