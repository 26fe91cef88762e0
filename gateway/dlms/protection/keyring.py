"""The keys one side holds of a security suite."""

from __future__ import annotations

from gateway.dlms.protection.suites import SUITES

TITLE_SIZE = 8


class Keys:
    """One side's own system title (8 bytes) and the keys it holds. Its repr shows none of them.

    Shared with the peer: global unicast encryption key `ek`, authentication key `ak`, `broadcast`
    key and `master` key (KEK), each 16 bytes, in suite 2 32. Private keys `signing` and
    `agreement`, and the peer's public keys `peer_signing` and `peer_agreement` (x||y), of the
    suite's curve. b"" is a key that one does not have.
    """

    __slots__ = (
        "agreement",
        "ak",
        "broadcast",
        "ek",
        "master",
        "peer_agreement",
        "peer_signing",
        "signing",
        "suite",
        "system_title",
    )

    def __init__(
        self,
        system_title: bytes,
        ek: bytes,
        ak: bytes,
        suite: int = 0,
        signing: bytes = b"",
        peer_signing: bytes = b"",
        agreement: bytes = b"",
        peer_agreement: bytes = b"",
        master: bytes = b"",
        broadcast: bytes = b"",
    ) -> None:
        if suite not in (0, 1, 2):
            raise ValueError("security suite 0, 1 or 2 expected")
        self.suite = SUITES[suite]
        size = self.suite.key_size
        if len(system_title) != TITLE_SIZE or len(ek) not in (0, size) or len(ak) != len(ek):
            raise ValueError(
                "a system title of 8 bytes and two keys of %d bytes (suite %d) expected"
                % (size, suite)
            )
        for name, key, wanted in (
            ("master", master, size),
            ("broadcast", broadcast, size),
            ("signing", signing, self.suite.private_size),
            ("agreement", agreement, self.suite.private_size),
            ("peer_signing", peer_signing, self.suite.public_size),
            ("peer_agreement", peer_agreement, self.suite.public_size),
        ):
            if key and len(key) != wanted:
                raise ValueError(
                    "key %s has %d bytes in suite %d, not %d" % (name, wanted, suite, len(key))
                )
        self.system_title = system_title
        self.ek = ek
        self.ak = ak
        self.signing = signing
        self.peer_signing = peer_signing
        self.agreement = agreement
        self.peer_agreement = peer_agreement
        self.master = master
        self.broadcast = broadcast

    def replaced(
        self, ek: bytes = b"", ak: bytes = b"", broadcast: bytes = b"", master: bytes = b""
    ) -> Keys:
        """The same with the keys that are given."""
        return Keys(
            self.system_title,
            ek or self.ek,
            ak or self.ak,
            self.suite.number,
            self.signing,
            self.peer_signing,
            self.agreement,
            self.peer_agreement,
            master or self.master,
            broadcast or self.broadcast,
        )

    def __repr__(self) -> str:
        return "Keys(...)"


def same(a: bytes, b: bytes) -> bool:
    """Compare without stopping at the first difference."""
    different = len(a) ^ len(b)
    for ours, theirs in zip(a, b):  # noqa: B905 (the lengths have been compared)
        different |= ours ^ theirs
    return different == 0
