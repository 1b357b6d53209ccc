"""The ids of folders and messages: pure.

The ordinary id of a message names its folder, and is another one after a move; the immutable id stays, as long as the
message is in its mailbox. Both are opaque to clients, and case matters.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from checks.lab.graph.errors import malformed_id
from checks.lab.store import Place
from checks.lab.tenant import DELETED, FOLDERS, INBOX, JUNK, SENT

ROOT = "msgfolderroot"
WELL_KNOWN = {"inbox": INBOX, "junkemail": JUNK, "sentitems": SENT, "deleteditems": DELETED}
"""The names by which a folder can be asked for in any language."""
_MOVABLE, _IMMUTABLE, _FOLDER = "AAMkADE0", "AAkALgAA", "AQMkADE0"
_BY_PLACE = struct.Struct(">4sBQ")  # mailbox, number of the folder, UID
_BY_IDENT = struct.Struct(">4s12s")
_OF_FOLDER = struct.Struct(">4sB")
_ROOT_NUMBER = 255


@dataclass(frozen=True, slots=True)
class MessageId:
    """What an id says: where the message is, or which it is."""

    place: Place | None = None
    uid: int = 0
    ident: str = ""


def message_id(place: Place, uid: int, ident: str, *, immutable: bool) -> str:
    """Return the id of a message."""
    mailbox = _tag(place.mailbox)
    if immutable:
        return _IMMUTABLE + _text(_BY_IDENT.pack(mailbox, bytes.fromhex(ident)))
    return _MOVABLE + _text(_BY_PLACE.pack(mailbox, FOLDERS.index(place.folder), uid))


def read_message_id(text: str, mailbox: str) -> MessageId | None:
    """Read an id of either kind; None when it is one of another mailbox.

    Raises:
        GraphError: it is no id.
    """
    try:
        if text.startswith(_IMMUTABLE):
            owner, ident = _BY_IDENT.unpack(_bytes(text))
            return MessageId(ident=ident.hex()) if owner == _tag(mailbox) else None
        if text.startswith(_MOVABLE):
            owner, folder, uid = _BY_PLACE.unpack(_bytes(text))
            return MessageId(Place(mailbox, FOLDERS[folder]), uid) if owner == _tag(mailbox) else None
    except (struct.error, ValueError, IndexError):
        pass
    raise malformed_id()


def folder_id(mailbox: str, folder: str) -> str:
    """Return the id of a folder, or of the root that holds them all."""
    number = _ROOT_NUMBER if folder == ROOT else FOLDERS.index(folder)
    return _FOLDER + _text(_OF_FOLDER.pack(_tag(mailbox), number))


def read_folder(text: str, mailbox: str) -> str | None:
    """Return the folder, or the root, that an id or a well-known name means; None when there is none.

    Raises:
        GraphError: it is neither.
    """
    if (name := text.lower()) in {ROOT, *WELL_KNOWN}:
        return WELL_KNOWN.get(name, ROOT)
    if not text.startswith(_FOLDER):
        raise malformed_id()
    try:
        owner, number = _OF_FOLDER.unpack(_bytes(text))
    except (struct.error, ValueError):
        raise malformed_id() from None
    if owner != _tag(mailbox):
        return None
    if number == _ROOT_NUMBER:
        return ROOT
    return FOLDERS[number] if number < len(FOLDERS) else None


def _tag(mailbox: str) -> bytes:
    return hashlib.sha256(mailbox.encode()).digest()[:4]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text[len(_FOLDER) :].encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(text) from error
