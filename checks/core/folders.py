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

_SENT_NAMES = frozenset(
    {
        *("sent items", "sent messages", "sent mail", "sent", "gesendete elemente", "gesendete objekte", "gesendet"),
        *("gesendete nachrichten", "gesendete e-mails", "éléments envoyés", "messages envoyés", "objets envoyés"),
        *("courrier envoyé", "envoyés", "verzonden items", "verzonden berichten", "verzonden", "elementos enviados"),
        *("mensajes enviados", "correo enviado", "correos enviados", "enviados", "itens enviados", "e-mails enviados"),
        *("mensagens enviadas", "correio enviado", "posta inviata", "elementi inviati", "messaggi inviati", "inviati"),
        *("elements enviats", "missatges enviats", "correu enviat", "enviats", "skickat", "skickade objekt"),
        *("skickade meddelanden", "sendt post", "sendt e-post", "sendte elementer", "sendte mails", "sendt"),
        *("send atriði", "sendir hlutir", "sendur póstur", "lähetetyt", "lähetetyt kohteet", "lähetetyt viestit"),
        *("saadetud üksused", "saadetud kirjad", "saadetud", "elementy wysłane", "wiadomości wysłane", "wysłane"),
        *("odeslaná pošta", "odeslané položky", "odeslané", "odoslaná pošta", "odoslané položky", "odoslané"),
        *("elküldött elemek", "elküldött levelek", "elküldött üzenetek", "elküldött", "elemente trimise"),
        *("mesaje trimise", "trimise", "poslano", "poslani predmeti", "poslana pošta", "poslane stavke", "poslato"),
        *("poslate stavke", "poslane poruke", "послате ставке", "послате поруке", "послато", "изпратени елементи"),
        *("изпратена поща", "изпратени", "išsiųsti elementai", "išsiųsti laiškai", "išsiųsta", "nosūtītie vienumi"),
        *("nosūtītās vēstules", "nosūtītie", "отправленные", "отправленные элементы", "надіслані"),
        *("надіслані елементи", "відправлені", "απεσταλμένα", "απεσταλμένα στοιχεία", "σταλμένα"),
        *("gönderilmiş öğeler", "gönderilen öğeler", "gönderilmiş postalar", "gönderilen", "gönderilenler"),
        *("mục đã gửi", "thư đã gửi", "đã gửi", "送信済みアイテム", "送信済みメール", "送信済み", "已发送邮件"),
        *("已发送的邮件", "已发送", "已发邮件", "已傳送", "已發送郵件", "已寄送的郵件", "寄件備份", "寄件备份"),
        *("보낸 편지함", "보낸편지함", "보낸 메일함", "보낸메일함", "보낸 항목", "รายการที่ถูกส่ง", "รายการที่ส่ง"),
        *("รายการที่ส่งแล้ว", "จดหมายที่ส่งแล้ว", "פריטים שנשלחו", "דואר יוצא", "العناصر المرسلة", "البريد المرسل"),
        *("الرسائل المرسلة",),
    }
)
"""Names of Sent Items, whole: of Exchange in the languages of Junk, and of other services.

Their words mean other folders as well: "SendTest" may be where a rule puts canaries, and what lies in Sent Items is no
delivery.
"""


def is_called_junk(folder: str) -> bool:
    """Tell whether the last part of a folder's path says, in any language of Exchange, that junk lies there."""
    name = _DENIED.sub("", _last_part(folder))
    return name in _JUNK_NAMES or any(word in name for word in _JUNK_WORDS)


def is_called_sent(folder: str) -> bool:
    """Tell whether the last part of a folder's path says, in any language, that copies of sent mail lie there."""
    return _last_part(folder) in _SENT_NAMES


def _last_part(folder: str) -> str:
    return re.split(r"[/.]", unicodedata.normalize("NFKC", folder).casefold())[-1].strip()
