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


SENT = [
    *("Sent Items", "Sent", "INBOX.Sent", "[Gmail]/Sent Mail", "Sent Messages", "Gesendete Elemente", "Gesendet"),
    *("Éléments envoyés", "Messages envoyés", "Verzonden items", "Elementos enviados", "Posta inviata", "Enviats"),
    *("Itens Enviados", "E-mails enviados", "Skickat", "Sendt post", "Sendte elementer", "Sendir hlutir", "Lähetetyt"),
    *("Saadetud üksused", "Elementy wysłane", "Odeslaná pošta", "Odoslaná pošta", "Elküldött elemek", "Poslano"),
    *("Elemente trimise", "Poslane stavke", "Послате ставке", "Изпратени елементи", "Išsiųsti elementai"),
    *("Nosūtītie vienumi", "Отправленные", "Надіслані", "Απεσταλμένα", "Gönderilmiş Öğeler", "Mục đã Gửi"),
    *("送信済みアイテム", "已发送邮件", "寄件備份", "보낸 편지함", "รายการที่ถูกส่ง", "פריטים שנשלחו", "العناصر المرسلة"),
]


@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_copies_of_sent_mail_are_known_by_the_folders_name_in_every_language(name, form):
    assert is_called_sent(unicodedata.normalize(form, name))
    assert not is_called_sent(f"{name}/Old")


@pytest.mark.parametrize(
    "name",
    [
        *("INBOX", "Presented", "Correos reenviados", "Sent to canary", "[Gmail]/All Mail", "Todos", *JUNK),
        *("SendTest", "Sendt til canary", "Gesendet an Canary", "À envoyer", "Retour à l'envoyeur", "Отправления"),
        *("Poslanci", "已发货", "보낸사람별"),
    ],
)
def test_other_names_do_not_mean_copies_of_sent_mail(name):
    assert not is_called_sent(name)


@pytest.mark.parametrize("name", SENT)
def test_no_name_means_both_junk_and_copies_of_sent_mail(name):
    assert not is_called_junk(name)
