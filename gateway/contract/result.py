"""How a command ended on a meter (use case: *resultado de comando*), and what each reason means to
people.

A result is OK, KO with a reason, or a value. Every reason has one row in REASONS; nowhere else is a
reason spelt.
"""

from __future__ import annotations

OK = "OK"
KO = "KO"
VALUE = "VALUE"
WAIT = "WAIT"  # no end yet: the meter needs time, and is asked again; never reported

# next steps, as the report prints them
NOTHING = "nothing"
RETRY = "retry"  # the gateway tries again by itself, or the HES may order it again (use case 6.1)
TECHNICIAN = "technician"  # use case step 9: a work order
FIX_PACKAGE = "fix-package"
FIX_ORDER = "fix-order"
FIX_INVENTORY = "fix-inventory"
FIX_TRUST = "fix-trust"
FIX_MODEL = "fix-model"

# reason: (next step when it is final, tried again inside the window?, sentence for people)
REASONS = {
    # of a meter
    "applied": (NOTHING, False, "done as ordered, and confirmed by the meter"),
    "already-as-wanted": (
        NOTHING,
        False,
        "the meter already had every wanted value; nothing written",
    ),
    "read": (NOTHING, False, "value read"),
    "compared": (NOTHING, False, "dry run: the values as they are; nothing written"),
    "no-answer": (TECHNICIAN, True, "the meter answered on none of its paths"),
    "link-lost": (TECHNICIAN, True, "the meter stopped answering half way"),
    "modem-gone": (RETRY, True, "the modem of every path of the meter is out of order"),
    "association-refused": (
        FIX_INVENTORY,
        False,
        "the meter refused the association; check its keys",
    ),
    "security-failed": (
        FIX_INVENTORY,
        True,
        "an answer was not authentic or its counter was wrong",
    ),
    "wrong-meter": (FIX_INVENTORY, False, "another meter answered at this address"),
    "wrong-model": (FIX_PACKAGE, False, "the package is not for this model"),
    "model-unfit": (
        FIX_MODEL,
        False,
        "the meter has not what its model says; correct the model, or the inventory's `model`",
    ),
    "wrong-firmware": (FIX_PACKAGE, False, "the package is not for this firmware"),
    "write-refused": (TECHNICIAN, False, "the meter refused a write"),
    "action-refused": (TECHNICIAN, False, "the meter refused a method"),
    "read-refused": (FIX_ORDER, False, "the meter refused a read"),
    "meter-busy": (TECHNICIAN, True, "the meter says it cannot do this now"),
    "read-back-differs": (TECHNICIAN, True, "the meter took the write but reads back otherwise"),
    "condition-broken": (TECHNICIAN, False, "the meter does not measure as it did before"),
    "not-permitted": (FIX_PACKAGE, False, "the package touches what it does not say it may"),
    "image-verifying": (RETRY, True, "the meter verifies the image"),
    "image-activating": (RETRY, True, "the meter starts the image"),
    "activation-waits": (RETRY, True, "the image is verified and waits for its time"),
    "image-stuck": (TECHNICIAN, False, "verification or activation of the image does not end"),
    "image-refused": (FIX_PACKAGE, False, "the meter does not take the image"),
    "image-incomplete": (TECHNICIAN, True, "blocks of the image do not stick in the meter"),
    "image-verify-failed": (
        FIX_PACKAGE,
        False,
        "the meter finds the image bad; not activated",
    ),
    "image-not-ours": (TECHNICIAN, False, "the meter would activate another image; not activated"),
    "activation-failed": (TECHNICIAN, False, "the meter does not run the image"),
    "block-too-large": (TECHNICIAN, False, "no path of the meter carries its image blocks"),
    "meter-protocol-error": (TECHNICIAN, True, "the meter broke the protocol"),
    "not-tried": (RETRY, False, "the window closed before the meter's turn came"),
    "window-closed": (RETRY, False, "the window closed before the meter succeeded"),
    "canceled": (NOTHING, False, "canceled by the HES"),
    "canary-failed": (FIX_PACKAGE, False, "too few of the job's first meters succeeded"),
    "unknown-meter": (FIX_INVENTORY, False, "the meter is not in this concentrator's inventory"),
    "not-commissioned": (TECHNICIAN, False, "the inventory holds no path for the meter"),
    "gateway-error": (RETRY, True, "an error inside the gateway; its log says more"),
    "value-too-large": (FIX_ORDER, False, "the value does not fit a report; read less at once"),
    "interrupted": (RETRY, True, "the attempt was broken off: a restart, or a stop of its job"),
    # of a whole job or message
    "accepted": (NOTHING, False, "in the ledger"),
    "ended": (NOTHING, False, "every meter of the job has its result"),
    "window-not-open": (NOTHING, False, "accepted; waits for its window"),
    "window-short": (NOTHING, False, "accepted; the window seems too short for all meters"),
    "paused": (NOTHING, False, "no further meter begins until the job is resumed"),
    "resumed": (NOTHING, False, "the job goes on"),
    "canary-passed": (NOTHING, False, "enough of the first meters succeeded; the others follow"),
    "still-open": (RETRY, False, "the job to be ordered again has not ended here yet"),
    "outdated": (NOTHING, False, "a later order about this is already here"),
    "malformed": (FIX_ORDER, False, "the message is not what the protocol describes"),
    "oversized": (FIX_ORDER, False, "the message exceeds the limit"),
    "bad-signature": (FIX_TRUST, False, "the signature does not match the content"),
    "unknown-signer": (FIX_TRUST, False, "nobody in the trust store has this key id"),
    "wrong-concentrator": (FIX_ORDER, False, "the job is addressed to another concentrator"),
    "expired": (FIX_ORDER, False, "the window is already over"),
    "not-yet-valid": (FIX_ORDER, False, "issued in the future; check both clocks"),
    "bad-window": (FIX_ORDER, False, "the window ends before it begins"),
    "unknown-kind": (FIX_ORDER, False, "this firmware has no activity of that kind"),
    "no-meters": (FIX_ORDER, False, "the job names no meter"),
    "duplicate": (NOTHING, False, "the same job is already here; it runs once"),
    "conflicting-duplicate": (FIX_ORDER, False, "another job with this id is already here"),
    "too-many-jobs": (RETRY, False, "the ledger holds as many jobs as its setting allows"),
    "storage-full": (RETRY, False, "no room for the job on the flash"),
    "package-unavailable": (RETRY, True, "the HES did not deliver the package"),
    "bad-digest": (FIX_PACKAGE, False, "the package is not the one the job names (SHA-256)"),
    "bad-package": (FIX_PACKAGE, False, "the package's content is not what the format describes"),
    "bad-model": (FIX_MODEL, False, "the model's content is not what the format describes"),
    "replayed": (FIX_ORDER, False, "a message with this number or a later one was taken before"),
    "out-of-order": (FIX_ORDER, False, "an earlier message of this kind is missing"),
    "unknown-key": (FIX_TRUST, False, "the key to be removed is not in the trust store"),
    "last-trust-key": (FIX_TRUST, False, "nobody would be left who may change the trust store"),
    "unwrap-failed": (FIX_TRUST, False, "the meters' keys are not wrapped under this board's key"),
    "unsigned-time": (FIX_TRUST, False, "the clock is set this far only by a signed time"),
    "stale-time": (RETRY, False, "the signed time answers no hello of just now"),
    "unknown-job": (FIX_ORDER, False, "no such job here"),
}


class Result:
    """outcome OK, KO or VALUE; reason a key of REASONS; detail one line for people (no secrets);
    value: for VALUE a list of raw A-XDR encodings, one per attribute asked for, else None; wait_s:
    for WAIT, when to ask the meter again."""

    __slots__ = ("detail", "outcome", "reason", "value", "wait_s")

    def __init__(
        self,
        outcome: str,
        reason: str,
        detail: str = "",
        value: list[bytes] | None = None,
        wait_s: int = 0,
    ) -> None:
        if reason not in REASONS:
            raise ValueError("no such reason: %s" % reason)
        self.outcome = outcome
        self.reason = reason
        self.detail = detail
        self.value = value
        self.wait_s = wait_s

    def next_step(self) -> str:
        return REASONS[self.reason][0]

    def worth_retrying(self) -> bool:
        return REASONS[self.reason][1]

    def __repr__(self) -> str:
        return "Result(%s, %s, %r)" % (self.outcome, self.reason, self.detail)
