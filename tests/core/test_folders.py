"""What a folder is for, by its name."""

from __future__ import annotations

import unicodedata

import pytest

from checks.core.folders import is_called_junk, is_called_sent

JUNK = [
    *("Junk Email", "Junk E-mail", "junk", "SPAM", "INBOX.Junk", "Mail/Spam", "[Gmail]/Spam"),
    *("Junk-E-Mail", "Courrier indésirable", "Pourriel", "Ongewenste e-mail", "Correo no deseado"),
    *("Posta indesiderata", "Lixo Eletrônico", "Skräppost", "Søppel-e-post", "Uønsket mail", "Roskaposti"),
    *("Wiadomości-śmieci", "Nevyžádaná pošta", "Levélszemét", "Нежелательная почта", "Önemsiz E-posta"),
    *("Ανεπιθύμητη αλληλογραφία", "迷惑メール", "垃圾邮件", "정크 메일", "البريد الإلكتروني العشوائي"),
    *("Нежељена пошта", "Нежељене поруке", "البريد غير الهام", "البريد الإلكتروني غير الهام"),
    *("Bulk", "Bulk Mail", "Spamverdacht", "Unerwünscht", "Spam (do not open)", "Spam - no reply"),
]


@pytest.mark.parametrize("name", JUNK)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_the_junk_folder_is_known_by_its_name_in_every_language_and_at_other_services(name, form):
    assert is_called_junk(unicodedata.normalize(form, name))


@pytest.mark.parametrize(
    "name",
    [
        *("INBOX", "Posteingang", "Junk Email/Old", "Bulk orders", "Archiv", "Sent Items", "البريد الهام"),
        *("Not Junk", "Not spam", "No spam", "Non-spam", "nonspam", "Kein Spam", "Keine Junk-Mail"),
    ],
)
def test_other_names_do_not_mean_junk(name):
    assert not is_called_junk(name)


@pytest.mark.parametrize("name", ["Sent Items", "Sent", "INBOX.Sent", "[Gmail]/Sent Mail", "Sent Messages"])
def test_the_usual_names_mean_copies_of_sent_mail(name):
    assert is_called_sent(name)
    assert not is_called_sent(f"{name}/Old")
