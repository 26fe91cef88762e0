"""Which tags mean protection (Green Book 9.5, COSEMpdu)."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse, parts

GENERAL_GLO_TAG = 0xDB
GENERAL_DED_TAG = 0xDC
GENERAL_CIPHERING_TAG = 0xDD
GENERAL_SIGNING_TAG = 0xDF

# plain tag: glo tag
GLO_OF = {
    acse.INITIATE_REQUEST: 0x21,
    acse.INITIATE_RESPONSE: 0x28,
    apdu.CONFIRMED_SERVICE_ERROR: 0x2E,
    parts.READ_REQUEST: 0x25,
    parts.WRITE_REQUEST: 0x26,
    parts.READ_RESPONSE: 0x2C,
    parts.WRITE_RESPONSE: 0x2D,
    parts.UNCONFIRMED_WRITE_REQUEST: 0x36,
    apdu.INFORMATION_REPORT: 0x38,
    apdu.GET_REQUEST: 0xC8,
    apdu.SET_REQUEST: 0xC9,
    apdu.EVENT_NOTIFICATION: 0xCA,
    apdu.ACTION_REQUEST: 0xCB,
    apdu.GET_RESPONSE: 0xCC,
    apdu.SET_RESPONSE: 0xCD,
    apdu.ACTION_RESPONSE: 0xCF,
}
DED_OF = {plain: glo + (0x20 if glo < 0x80 else 0x08) for plain, glo in GLO_OF.items()}
PLAIN_OF = {glo: plain for plain, glo in GLO_OF.items()}
PLAIN_OF_DED = {ded: plain for plain, ded in DED_OF.items()}
# every tag that means protection
PROTECTED = (
    tuple(PLAIN_OF)
    + tuple(PLAIN_OF_DED)
    + (
        GENERAL_GLO_TAG,
        GENERAL_DED_TAG,
        GENERAL_CIPHERING_TAG,
        GENERAL_SIGNING_TAG,
    )
)
# Under the global key though another was agreed: what opens and ends an association (the dedicated
# key is inside), and what the meter sends unasked.
ALWAYS_GLOBAL = (
    acse.INITIATE_REQUEST,
    acse.INITIATE_RESPONSE,
    apdu.CONFIRMED_SERVICE_ERROR,
    apdu.EVENT_NOTIFICATION,
    apdu.DATA_NOTIFICATION,
    apdu.INFORMATION_REPORT,
)
