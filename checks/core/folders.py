"""What a folder of a mailbox is for, as far as its name tells."""

from __future__ import annotations

import re
import unicodedata

_JUNK_WORDS = (
    "junk", "spam", "unerwünscht", "indésirable", "indesirable", "pourriel", "ongewenst", "no deseado", "indesiderata",
    "brossa", "lixo", "indesejad", "skräp", "uønsk", "søppel", "ruslpóst", "roskaposti", "rämpspost", "śmieci",
    "niechcian", "nevyžádan", "nevyziadan", "nevyžiadan", "levélszemét", "nedorit", "neželen", "neželjen",
    "nepageidaujam", "mēstul", "нежелательн", "небажан", "нежелан", "ανεπιθύμητ", "önemsiz", "gereksiz", "thư rác",
    "迷惑", "垃圾", "정크", "스팸", "ขยะ", "דואר זבל", "دعائية", "الهام", "العشوائي",
)  # fmt: skip
"""Words of the Junk folder's name: of Exchange, which names it in the owner's language, and of other services."""

_JUNK_NAMES = frozenset({"bulk", "bulk mail"})  # of Yahoo; as words they would mean other folders too
_DENIAL = re.compile(r"\b(not|kein)\b")
_SENT_NAMES = frozenset({"sent items", "sent messages", "sent mail", "sent"})


def is_called_junk(folder: str) -> bool:
    """Tell whether the last part of a folder's path says, in any language of Exchange, that junk lies there."""
    name = _last_part(folder)
    said = name in _JUNK_NAMES or any(word in name for word in _JUNK_WORDS)
    return said and _DENIAL.search(name) is None


def is_called_sent(folder: str) -> bool:
    """Tell whether the last part of a folder's path is one of the usual names for copies of sent mail."""
    return _last_part(folder) in _SENT_NAMES


def _last_part(folder: str) -> str:
    return re.split(r"[/.]", unicodedata.normalize("NFKC", folder).casefold())[-1].strip()
