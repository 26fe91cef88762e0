"""How a command ended on a meter (use case: *resultado de comando*).

A result is OK, KO with a reason, or a value. A reason is one of REASONS. What it means to people,
and what is to be done, is the HES's to say: reasons.py.
"""

from __future__ import annotations

OK = "OK"
KO = "KO"
VALUE = "VALUE"
WAIT = "WAIT"  # no end yet: the meter needs time, and is asked again; never reported
HINDERED = "HINDERED"  # no attempt: something of ours was in the way; never reported

HINDERED_BY = "hindered: "  # begins the detail of not-tried, where it is known; a reason follows

# of a meter that is tried again inside the window, as often as the job allows
TRIED_AGAIN = (
    "no-answer",
    "link-lost",
    "port-closed",
    "unreachable",
    "modem-gone",
    "association-lost",
    "security-failed",
    "meter-busy",
    "request-refused",
    "read-back-differs",
    "image-verifying",
    "image-activating",
    "activation-waits",
    "image-incomplete",
    "meter-protocol-error",
    "gateway-error",
    "interrupted",
    "package-unavailable",
    "unknown-model",
)
# what hinders us is no attempt of the meter: it waits, and that costs no try
HINDRANCES = (
    "radio-budget",
    "modem-busy",
    "no-slot",
    "network-forming",
    "too-long",
    "flash-full",
    "clock-unset",
)
# of a meter: trying again would end in the same way
FINAL = (
    "applied",
    "already-as-wanted",
    "read",
    "compared",
    "bad-address",
    "unknown-meter",
    "not-commissioned",
    "wrong-meter",
    "no-keys",
    "association-refused",
    "association-unsuited",
    "meter-defective",
    "access-denied",
    "object-mismatch",
    "type-mismatch",
    "service-refused",
    "write-refused",
    "action-refused",
    "read-refused",
    "wrong-model",
    "model-unfit",
    "clock-far-off",
    "switch-unsuited",
    "wrong-firmware",
    "condition-broken",
    "not-permitted",
    "value-too-large",
    "image-stuck",
    "image-refused",
    "image-verify-failed",
    "image-not-ours",
    "activation-failed",
    "block-too-large",
    "not-tried",
    "window-closed",
    "canceled",
    "canary-failed",
    "result-unknown",
)
# of a whole job or message
OF_MESSAGES = (
    "accepted",
    "ended",
    "window-not-open",
    "window-short",
    "paused",
    "resumed",
    "canary-passed",
    "still-open",
    "outdated",
    "malformed",
    "oversized",
    "bad-signature",
    "unknown-signer",
    "wrong-concentrator",
    "expired",
    "not-yet-valid",
    "bad-window",
    "unknown-kind",
    "no-meters",
    "duplicate",
    "already-ended",
    "too-old",
    "conflicting-duplicate",
    "too-many-jobs",
    "storage-full",
    "bad-digest",
    "bad-package",
    "bad-model",
    "too-many-models",
    "too-many-tasks",
    "repeated",
    "replayed",
    "out-of-order",
    "unknown-key",
    "last-trust-key",
    "last-line-key",
    "unwrap-failed",
    "unsigned-time",
    "stale-time",
    "unknown-job",
    "unsealed",
)
REASONS = TRIED_AGAIN + HINDRANCES + FINAL + OF_MESSAGES


class Result:
    """outcome OK, KO or VALUE; reason one of REASONS; detail one line for people (no secrets);
    value: for VALUE a list of raw A-XDR encodings, one per attribute asked for, else None; wait_s:
    for WAIT, when to ask the meter again; for HINDERED, when that is likely to be over, 0: not
    known. hindered: of a KO, what of ours kept it from being tried over another path too (a reason;
    then `wait_s` is as for HINDERED), else "". limit_s: for WAIT, how long all of it may take, 0:
    as long as with most meters."""

    __slots__ = ("detail", "hindered", "limit_s", "outcome", "reason", "value", "wait_s")

    def __init__(
        self,
        outcome: str,
        reason: str,
        detail: str = "",
        value: list[bytes] | None = None,
        wait_s: int = 0,
        hindered: str = "",
        limit_s: int = 0,
    ) -> None:
        if reason not in REASONS or (hindered and hindered not in REASONS):
            raise ValueError("no such reason: %s" % (hindered or reason))
        self.outcome = outcome
        self.reason = reason
        self.detail = detail
        self.value = value
        self.wait_s = wait_s
        self.hindered = hindered
        self.limit_s = limit_s

    def worth_retrying(self) -> bool:
        return self.reason in TRIED_AGAIN

    def __repr__(self) -> str:
        return "Result(%s, %s, %r)" % (self.outcome, self.reason, self.detail)
