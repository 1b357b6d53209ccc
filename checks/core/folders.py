"""What a folder of a mailbox is for, as far as its name tells."""

from __future__ import annotations

import re
import unicodedata

_JUNK_WORDS = (
    "junk", "spam", "unerwünscht", "indésirable", "indesirable", "pourriel", "ongewenst", "no deseado", "indesiderata",
    "brossa", "lixo", "indesejad", "skräp", "uønsk", "søppel", "ruslpóst", "roskaposti", "rämpspost", "śmieci",
    "niechcian", "nevyžádan", "nevyziadan", "nevyžiadan", "levélszemét", "nedorit", "neželen", "neželjen",
    "nepageidaujam", "mēstul", "нежелательн", "небажан", "нежелан", "нежељен", "ανεπιθύμητ", "önemsiz", "gereksiz",
    "thư rác", "迷惑", "垃圾", "정크", "스팸", "ขยะ", "דואר זבל", "دعائية", "غير الهام", "العشوائي",
)  # fmt: skip
"""Words of the Junk folder's name: of Exchange, which names it in the owner's language, and of other services."""

_JUNK_NAMES = frozenset({"bulk", "bulk mail"})  # of Yahoo; as words they would mean other folders too
# Right before the word only: "Correo no deseado" is Junk by its own word, "Spam (do not open)" by the one before.
_DENIED = re.compile(rf"\b(?:not|no|non|kein|keine)[\W_]*(?:{'|'.join(map(re.escape, _JUNK_WORDS))})")

_SENT_WORDS = (
    "gesendet", "envoyé", "envoye", "verzonden", "enviad", "inviat", "enviat", "skickat", "skickade", "sendt",
    "sendir", "send atriði", "lähetet", "saadetud", "wysłan", "odeslan", "odoslan", "elküldött", "trimise", "poslan",
    "poslat", "послат", "изпратен", "išsiųst", "nosūtīt", "отправлен", "надіслан", "відправлен", "απεσταλμέν",
    "gönderil", "đã gửi", "送信済み", "已发", "已發", "已傳送", "已寄", "寄件備份", "보낸",
    "รายการที่ถูกส่ง", "รายการที่ส่ง", "จดหมายที่ส่ง", "שנשלח", "דואר יוצא", "المرسل", "مرسل",
)  # fmt: skip
"""Beginnings of words of the name of Sent Items: of Exchange, in the languages of Junk, and of Gmail."""

_SENT_NAMES = frozenset({"sent items", "sent messages", "sent mail", "sent"})  # as a word it would mean others too
_SENT = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, _SENT_WORDS))})")


def is_called_junk(folder: str) -> bool:
    """Tell whether the last part of a folder's path says, in any language of Exchange, that junk lies there."""
    name = _DENIED.sub("", _last_part(folder))
    return name in _JUNK_NAMES or any(word in name for word in _JUNK_WORDS)


def is_called_sent(folder: str) -> bool:
    """Tell whether the last part of a folder's path says, in any language, that copies of sent mail lie there."""
    name = _last_part(folder)
    return name in _SENT_NAMES or _SENT.search(name) is not None


def _last_part(folder: str) -> str:
    return re.split(r"[/.]", unicodedata.normalize("NFKC", folder).casefold())[-1].strip()
