"""How the APDUs of an association are to be protected: form, policy, key, signature."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.protection.keyring import Keys

# security control byte: the suite, and
AUTHENTICATED = 0x10
ENCRYPTED = 0x20
AUTHENTICATED_ENCRYPTED = 0x30
BROADCAST = 0x40
COMPRESSED = 0x80

PLAIN = "plain"
GLO = "glo"
DED = "ded"
GENERAL_GLO = "general-glo"
GENERAL_DED = "general-ded"
GENERAL_CIPHERING = "general-ciphering"
FORMS = (PLAIN, GLO, DED, GENERAL_GLO, GENERAL_DED, GENERAL_CIPHERING)

# the key of general-ciphering
IDENTIFIED = "identified"
WRAPPED = "wrapped"
ONE_PASS = "one-pass"
STATIC = "static"
KEY_SOURCES = (IDENTIFIED, WRAPPED, ONE_PASS, STATIC)

# How the envelopes of general-ciphering and general-signing are reckoned. Meters of the other
# dialect authenticate security control and key only, not the parties; sign the content without its
# length; sign an ephemeral key as 01 || x || y; cut what suite 2 derives to 16 bytes; and name no
# transaction. Which one a meter speaks is agreed before: one is never taken for want of the other.
GREEN_BOOK = 0
OTHER = 1
DIALECTS = ("green-book", "other")


class Protection:
    """How the APDUs of an association are protected.

    `form`: one of FORMS. `policy`: AUTHENTICATED, ENCRYPTED or both; what is received must have at
    least this. ENCRYPTED alone has no tag: a change on the way goes unnoticed, and the standard
    has it for old meters only. `key`: one of KEY_SOURCES, for general-ciphering. `signed`: every
    request and response is signed too (general-signing). `dialect`: GREEN_BOOK or OTHER.
    """

    __slots__ = ("dialect", "form", "key", "policy", "signed")

    def __init__(
        self,
        form: str = GLO,
        policy: int = AUTHENTICATED_ENCRYPTED,
        key: str = IDENTIFIED,
        signed: bool = False,
        dialect: int = GREEN_BOOK,
    ) -> None:
        if form not in FORMS:
            raise ValueError("protection %r: expected one of %s" % (form, ", ".join(FORMS)))
        if policy not in (AUTHENTICATED, ENCRYPTED, AUTHENTICATED_ENCRYPTED):
            raise ValueError("policy 0x%02x: expected 0x10, 0x20 or 0x30" % policy)
        if key not in KEY_SOURCES:
            raise ValueError("key %r: expected one of %s" % (key, ", ".join(KEY_SOURCES)))
        if dialect == OTHER and signed and form == PLAIN:
            # No transaction is named and no counter told: nothing would show what is a replay.
            raise ValueError("in the other dialect what is signed has to be ciphered too")
        self.dialect = dialect
        self.form = form
        self.policy = policy
        self.key = key
        self.signed = signed

    @property
    def dedicated(self) -> bool:
        """Whether the association needs a dedicated key."""
        return self.form in (DED, GENERAL_DED)

    @property
    def general(self) -> bool:
        """Whether the conformance bit general-protection is needed."""
        return self.signed or self.form in (GENERAL_GLO, GENERAL_DED, GENERAL_CIPHERING)

    @property
    def enveloped(self) -> bool:
        """Whether APDUs travel in an envelope that names both parties (enveloping.py)."""
        return self.signed or self.form == GENERAL_CIPHERING

    def check(self, keys: Keys) -> None:
        """ValueError when `keys` are not enough for it."""
        missing = ""
        if self.form != PLAIN and not keys.ek:
            missing = "ek and ak"
        elif self.form == GENERAL_CIPHERING and self.key == WRAPPED and not keys.master:
            missing = "the master key"
        elif self.form == GENERAL_CIPHERING and self.key in (ONE_PASS, STATIC):
            if not (keys.agreement and keys.peer_agreement):
                missing = "both sides' agreement keys"
            elif self.key == ONE_PASS and not (keys.signing and keys.peer_signing):
                missing = "both sides' signing keys"
        if self.signed and not (keys.signing and keys.peer_signing):
            missing = "both sides' signing keys"
        if missing:
            raise ValueError("protection %s needs %s" % (self.form, missing))
