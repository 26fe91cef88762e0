"""Failures in one line: which step, which object, what the meter answered, what to try."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from gateway.dlms.errors import (
    AccessRefused,
    ActionRefused,
    AssociationRefused,
    DlmsError,
    SecurityFailed,
    ServiceRefused,
)

DONE, REFUSED, WRONG_CALL = 0, 1, 2  # exit statuses


class CallProblem(Exception):
    """The command line is not right: exit status 2."""


class Failed(Exception):
    """The meter, or the way to it, is in the way: exit status 1. The text is the whole line."""


_ADVICE = {
    "authentication-failure": "check --auth, --password or --ek and --ak",
    "authentication-required": "the meter wants authentication: try --auth",
    "authentication-mechanism-name-required": "the meter wants authentication: try --auth",
    "authentication-mechanism-name-not-recognised": "try another --auth",
    "application-context-name-not-supported": (
        "the meter wants ciphering where none was asked, or none where it was: see --auth, --ek"
    ),
    "no-reason-given": "check --client, --server and --auth",
}


def one_line(error: BaseException) -> str:
    """The error's text with advice where this tool has options that may help; never empty."""
    text = " ".join((str(error) or type(error).__name__).split())
    advised = ""
    if isinstance(error, AssociationRefused):
        advised = "" if error.transient else _of_association(error, text)
    elif isinstance(error, ServiceRefused):
        if error.service == "invocation-counter-error":
            advised = "give a higher --counter"
            if error.counter is not None:
                advised = "give --counter %d" % (error.counter + 1)
        elif error.service == "deciphering-error":
            advised = "check --ek, --ak, --title and --protection"
        elif error.service == "operation-not-possible":
            advised = "check --client and --auth"
    elif isinstance(error, SecurityFailed):
        text, advised = _of_security(text)
    elif isinstance(error, asyncio.TimeoutError):
        text, advised = "nothing came in time", "try a longer --timeout"
    elif isinstance(error, OSError):
        if error.errno is not None and error.errno > 0:
            text = os.strerror(error.errno)  # asyncio has words of its own, without the reason
        elif error.strerror:
            text = error.strerror
        advised = "" if ";" in text else "check the URL, and that nobody else is connected"
    return text if not advised or advised in text else "%s; %s" % (text, advised)


def _of_association(error: AssociationRefused, text: str) -> str:
    """The advice; a meter that names its own context has said more than its diagnostic."""
    if "the meter wants short names" in text:
        return "give --sn" + (", and keys" if "with ciphering" in text else "")
    return _ADVICE.get(error.diagnostic, "")


# What a failure of security is about, and the options that are to blame; the first that is found.
_BLAMED = (
    ("invocation counter", ""),
    ("transaction", ""),
    ("without the signature", "leave out --signed if the meter does not sign"),
    ("only signed", "try --protection plain"),
    ("with a key", "check --key-source"),
    ("signature", "check --peer-signing, the meter's public key"),
    ("signed", "check --peer-signing, the meter's public key"),
    ("verify", "check --peer-signing, the meter's public key"),
    ("ECDSA", "check --signing-key and --peer-signing"),
    ("our signing key", "check --signing-key"),
    ("wrapped", "check --master"),
    ("general-ciphering", "check --protection, --master, --agreement-key and --peer-agreement"),
    ("than ours", "give it with --title"),
    ("system title", "give the right --title, or the meter's own"),
    ("security control", "choose it with --policy and --suite"),
    ("tag ", "check --ek and --ak"),
    ("proof", "check --ek, --ak and --password"),
)
_KEYS_AT_FAULT = ("; check the keys", "; check secret and keys")


def _of_security(text: str) -> tuple[str, str]:
    """(the text, the options to look at): the firmware's texts speak of keys, not of options."""
    if "--" in text:
        return text, ""
    for said in _KEYS_AT_FAULT:
        text = text.removesuffix(said)
    for words, options in _BLAMED:
        if words in text:
            return text, options
    return text, "check --ek, --ak and --protection"


def short(error: BaseException) -> str:
    """For a table that names the object already: what the meter answered."""
    if isinstance(error, (AccessRefused, ActionRefused)):
        return error.result
    return one_line(error)


def advice(error: BaseException) -> str:
    """What the error's text says to do, after its semicolon."""
    return one_line(error).partition("; ")[2]


def as_json(error: BaseException) -> dict[str, Any]:
    """{"error": line} with the standard's name of what the meter answered, where it did."""
    found: dict[str, Any] = {"error": one_line(error)}
    if isinstance(error, (AccessRefused, ActionRefused)):
        found["result"] = error.result
    elif isinstance(error, AssociationRefused):
        found["diagnostic"] = error.diagnostic
    elif isinstance(error, ServiceRefused):
        found["service_error"] = error.service
    if isinstance(error, DlmsError):
        found["kind"] = type(error).__name__
    return found
