"""What each reason of a result or an answer means to people, and what is to be done about it.

Only a HES imports this: a concentrator tells reasons (result.py) and no sentences. The operator's
table of it is in tools/hes/REASONS.md.
"""

from __future__ import annotations

# next steps, as the report names them
NOTHING = "nothing"
RETRY = "retry"
TECHNICIAN = "technician"  # use case step 9: a work order, to the meter
FIX_PACKAGE = "fix-package"
FIX_ORDER = "fix-order"
FIX_FIT = "fix-fit"  # order, package or model to the meter
FIX_MODEL = "fix-model"
FIX_INVENTORY = "fix-inventory"
FIX_KEYS = "fix-keys"
FIX_RIGHTS = "fix-rights"
FIX_NETWORK = "fix-network"
FIX_CONCENTRATOR = "fix-concentrator"
FIX_TRUST = "fix-trust"
ENGINEER = "engineer"

# next step: (what it is in words, who does it)
STEPS = {
    NOTHING: ("", ""),
    RETRY: ("order it again", "operator"),
    TECHNICIAN: ("send a technician", "technician"),
    FIX_PACKAGE: ("correct the package", "package maker"),
    FIX_ORDER: ("correct the order", "operator"),
    FIX_FIT: ("check order, package and model against the meter", "package maker"),
    FIX_MODEL: ("correct the meters' model", "package maker"),
    FIX_INVENTORY: ("correct the concentrator's inventory", "commissioning"),
    FIX_KEYS: ("check the meter's keys and client number", "key management"),
    FIX_RIGHTS: ("have the client's rights in the meter extended", "meter administration"),
    FIX_NETWORK: ("check the network between concentrator and meter", "network operation"),
    FIX_CONCENTRATOR: ("have the concentrator looked at", "concentrator service"),
    FIX_TRUST: ("check who signs, and the concentrator's trust list", "security"),
    ENGINEER: ("have an engineer look at the detail and the concentrator's log", "engineer"),
}

# reason: (next step when it is final, sentence: what has happened, and why)
MEANINGS = {
    # of a meter: done
    "applied": (NOTHING, "done as ordered, and confirmed by the meter"),
    "already-as-wanted": (
        NOTHING,
        "the meter already had every wanted value; nothing written",
    ),
    "read": (NOTHING, "value read"),
    "compared": (NOTHING, "dry run: the values as they are; nothing written"),
    # of a meter: the way to it
    "no-answer": (TECHNICIAN, "the meter answered on none of its paths"),
    "link-lost": (RETRY, "the meter answered, and then the path broke off"),
    "port-closed": (
        FIX_NETWORK,
        "the meter's address refuses or ends the connection: a wrong port, or its service is down",
    ),
    "unreachable": (FIX_NETWORK, "the network knows no way to the meter's address"),
    "bad-address": (FIX_INVENTORY, "the meter's address in the inventory is none"),
    "modem-gone": (FIX_CONCENTRATOR, "the modem of every path of the meter is out of order"),
    "unknown-meter": (FIX_INVENTORY, "the meter is not in this concentrator's inventory"),
    "not-commissioned": (FIX_INVENTORY, "the inventory holds no path for the meter"),
    "wrong-meter": (FIX_INVENTORY, "another meter answered at this address"),
    # of a meter: getting in
    "no-keys": (FIX_KEYS, "the concentrator has no usable keys for the meter"),
    "association-refused": (FIX_KEYS, "the meter refused the association: not with these keys"),
    "association-unsuited": (
        FIX_FIT,
        "the meter wants another association: other ciphering or another authentication",
    ),
    "association-lost": (RETRY, "the meter ended the association before all was done"),
    "security-failed": (FIX_KEYS, "an answer was not authentic, or a counter was wrong"),
    # of a meter: what it says to a request
    "meter-busy": (RETRY, "the meter says that it cannot do this now"),
    "meter-defective": (TECHNICIAN, "the meter says that it has a fault of its hardware"),
    "access-denied": (FIX_RIGHTS, "the meter denies this client the right to it"),
    "object-mismatch": (FIX_FIT, "the meter has no such object, or it is of another class"),
    "type-mismatch": (FIX_PACKAGE, "the value's type is not the one the meter takes"),
    "service-refused": (FIX_FIT, "the meter lacks a service that this needs, or its APDU size"),
    "write-refused": (FIX_PACKAGE, "the meter refused a write and does not say why"),
    "action-refused": (FIX_PACKAGE, "the meter refused a method and does not say why"),
    "read-refused": (FIX_FIT, "the meter refused a read and does not say why"),
    "request-refused": (ENGINEER, "the meter refused a whole request and does not say why"),
    "meter-protocol-error": (ENGINEER, "what the meter sent is not what the standard describes"),
    # of a meter: what was ordered
    "wrong-model": (FIX_PACKAGE, "the package is not for this model"),
    "unknown-model": (
        FIX_MODEL,
        "the concentrator has no model of the name that its inventory gives the meter; send the"
        " model, or correct the inventory's `model`",
    ),
    "model-unfit": (
        FIX_MODEL,
        "the meter has not what its model says; correct the model, or the inventory's `model`",
    ),
    "clock-far-off": (
        FIX_ORDER,
        "the meter's clock is further off than is corrected without an order; order it to be set",
    ),
    "switch-unsuited": (
        FIX_ORDER,
        "the switch cannot be brought to that from afar: its mode or its state forbids it",
    ),
    "wrong-firmware": (FIX_PACKAGE, "the package is not for this firmware"),
    "read-back-differs": (FIX_PACKAGE, "the meter took the write but reads back otherwise"),
    "condition-broken": (TECHNICIAN, "the meter does not measure as it did before"),
    "not-permitted": (FIX_PACKAGE, "the package touches what it does not say it may"),
    "value-too-large": (FIX_ORDER, "the value does not fit a report; read less at once"),
    # of a meter: its image
    "image-verifying": (RETRY, "the meter verifies the image"),
    "image-activating": (RETRY, "the meter starts the image"),
    "activation-waits": (RETRY, "the image is verified and waits for its time"),
    "image-stuck": (TECHNICIAN, "verification or activation of the image does not end"),
    "image-refused": (FIX_PACKAGE, "the meter does not take the image"),
    "image-incomplete": (TECHNICIAN, "the meter takes blocks of the image and does not keep them"),
    "image-verify-failed": (FIX_PACKAGE, "the meter finds the image bad; not activated"),
    "image-not-ours": (FIX_PACKAGE, "the meter would activate another image; not activated"),
    "activation-failed": (FIX_PACKAGE, "the meter does not run the image"),
    "block-too-large": (FIX_FIT, "no path of the meter carries its image blocks"),
    # of a meter: the job ended before it
    "not-tried": (RETRY, "the window closed before the meter's turn came"),
    "window-closed": (RETRY, "the window closed before the meter succeeded"),
    "canceled": (NOTHING, "canceled by the HES"),
    "canary-failed": (FIX_PACKAGE, "too few of the job's first meters succeeded"),
    "result-unknown": (
        RETRY,
        "the concentrator has the job no more, and its result for this meter never came; the meter"
        " may have been worked",
    ),
    "interrupted": (RETRY, "the attempt was broken off: a restart, or a stop of its job"),
    # what hinders us: no attempt of the meter
    "radio-budget": (RETRY, "the radio's time on air is used up for this hour"),
    "modem-busy": (RETRY, "the modem is busy, or starts anew"),
    "no-slot": (RETRY, "the modem has no room for one more conversation"),
    "network-forming": (RETRY, "the network of the modem is still forming"),
    "too-long": (RETRY, "a frame is too long for the path"),
    "flash-full": (RETRY, "the concentrator's flash is full, or fails"),
    "clock-unset": (RETRY, "the concentrator's clock is not set"),
    "gateway-error": (ENGINEER, "an error inside the gateway; its log says more"),
    # of a whole job or message
    "accepted": (NOTHING, "in the ledger"),
    "ended": (NOTHING, "every meter of the job has its result"),
    "window-not-open": (NOTHING, "accepted; waits for its window"),
    "window-short": (NOTHING, "accepted; the window seems too short for all meters"),
    "paused": (NOTHING, "no further meter begins until the job is resumed"),
    "resumed": (NOTHING, "the job goes on"),
    "canary-passed": (NOTHING, "enough of the first meters succeeded; the others follow"),
    "still-open": (RETRY, "the job to be ordered again has not ended here yet"),
    "outdated": (NOTHING, "a later order about this is already here"),
    "malformed": (FIX_ORDER, "the message is not what the protocol describes"),
    "oversized": (FIX_ORDER, "the message exceeds the limit"),
    "bad-signature": (FIX_TRUST, "the signature does not match the content"),
    "unknown-signer": (FIX_TRUST, "nobody in the trust store has this key id"),
    "wrong-concentrator": (FIX_ORDER, "the job is addressed to another concentrator"),
    "expired": (FIX_ORDER, "the window is already over"),
    "not-yet-valid": (FIX_ORDER, "issued in the future; check both clocks"),
    "bad-window": (FIX_ORDER, "the window ends before it begins"),
    "unknown-kind": (FIX_ORDER, "this firmware has no activity of that kind"),
    "no-meters": (FIX_ORDER, "the job names no meter"),
    "duplicate": (NOTHING, "the same job is already here; it runs once"),
    "already-ended": (
        RETRY,
        "the job has run here, and its results were acknowledged: the HES's database is an older"
        " copy, or another HES works",
    ),
    "too-old": (
        FIX_ORDER,
        "the job was issued before the time to which the concentrator remembers jobs: it may have"
        " run already; if it has not, order it anew",
    ),
    "conflicting-duplicate": (FIX_ORDER, "another job with this id is already here"),
    "too-many-jobs": (RETRY, "the ledger holds as many jobs as its setting allows"),
    "storage-full": (
        RETRY,
        "no room on the concentrator's flash; if that stays so: ami-gateway --check there",
    ),
    "package-unavailable": (RETRY, "the HES did not deliver the package"),
    "bad-digest": (FIX_PACKAGE, "the package is not the one the job names (SHA-256)"),
    "bad-package": (FIX_PACKAGE, "the package's content is not what the format describes"),
    "too-many-models": (FIX_MODEL, "the concentrator holds as many models as it can"),
    "too-many-tasks": (FIX_ORDER, "the concentrator holds as many tasks as it can"),
    "bad-model": (FIX_MODEL, "the model's content is not what the format describes"),
    "repeated": (FIX_ORDER, "the same message came twice, as MQTT may do it"),
    "replayed": (FIX_ORDER, "a message with this number or a later one was taken before"),
    "out-of-order": (FIX_ORDER, "an earlier message of this kind is missing"),
    "unknown-key": (FIX_ORDER, "the key to be removed is not in the trust store"),
    "last-trust-key": (FIX_ORDER, "nobody would be left who may change the trust store"),
    "last-line-key": (FIX_ORDER, "no key of the HES would be left for the handshake of the line"),
    "unwrap-failed": (FIX_KEYS, "the meters' keys are not wrapped under this board's key"),
    "unsigned-time": (FIX_TRUST, "the clock is set this far only by a signed time"),
    "stale-time": (RETRY, "the signed time answers no hello of just now"),
    "unknown-job": (FIX_ORDER, "the job has ended here, or ends already"),
    "unsealed": (FIX_TRUST, "the message is not sealed by the other side of this session"),
}


def sentence(reason: str) -> str:
    """For people; of a newer concentrator's reason, the reason itself."""
    return MEANINGS[reason][1] if reason in MEANINGS else reason


def next_step(reason: str) -> str:
    """One of STEPS."""
    return MEANINGS[reason][0] if reason in MEANINGS else NOTHING
