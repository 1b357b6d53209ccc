"""Client submission: mail to anybody, as a mailbox, with a token instead of a password (XOAUTH2).

MAIL_FROM=scanner@contoso.com MAIL_TO=someone@elsewhere.example
TENANT=contoso.onmicrosoft.com CLIENT_ID=... CLIENT_SECRET_FILE=/run/secrets/app
The app registration has the role SMTP.SendAsApp, and the right to send as this mailbox: deploy/m365/app.md.
"""

import http.client
import json
import os
import smtplib
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path


def access_token() -> str:
    """Get a token of the app; it is good for an hour, so keep it for as long.

    Raises OSError where another try may get one: nobody answers, or a server that is busy or in trouble.
    """
    authority = os.environ.get("AUTHORITY", "https://login.microsoftonline.com")
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["CLIENT_ID"],
        "client_secret": Path(os.environ["CLIENT_SECRET_FILE"]).read_text().strip(),
        "scope": "https://outlook.office365.com/.default",
    }
    url = f"{authority}/{os.environ['TENANT']}/oauth2/v2.0/token"
    try:
        with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=30) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        status, text = refused.code, refused.read()
    try:
        found = json.loads(text)
    except ValueError:  # a page in HTML: of a server in trouble, or of a proxy
        raise OSError(f"{authority} answers {status}, and with no JSON") from None
    if "access_token" in found:
        return found["access_token"]
    words = found.get("error_description", f"{authority} answers {status}, and with no token")
    if status == 429 or status >= 500:
        raise OSError(words)
    sys.exit(words)  # AADSTS...: relaycanary explain says what it means


message = EmailMessage()
message["From"] = user = os.environ["MAIL_FROM"]
message["To"] = os.environ["MAIL_TO"]
message["Subject"] = "Scan 4711"
message["Date"] = formatdate(localtime=True)
message["Message-ID"] = make_msgid(domain=user.rpartition("@")[2])
message.set_content("Your scan is ready.\n")

host, port = os.environ.get("MAIL_HOST", "smtp.office365.com"), int(os.environ.get("MAIL_PORT", "587"))
try:
    proof = f"user={user}\1auth=Bearer {access_token()}\1\1"
    with smtplib.SMTP(host, port, timeout=60) as smtp:
        smtp.starttls(context=ssl.create_default_context())  # verifies the server; without a context it does not
        smtp.ehlo()
        smtp.auth("XOAUTH2", lambda challenge=None: "" if challenge else proof)
        smtp.send_message(message)
except smtplib.SMTPRecipientsRefused as refused:
    code, text = next(iter(refused.recipients.values()))
except smtplib.SMTPResponseException as refused:
    code, text = refused.smtp_code, refused.smtp_error
except (OSError, http.client.HTTPException) as error:  # no connection, no trust in the certificate, no token for now
    print(error, file=sys.stderr)
    sys.exit(75)
else:
    print("handed over")
    sys.exit(0)
print(f"{code} {text.decode(errors='replace')}", file=sys.stderr)  # relaycanary explain says what it means
sys.exit(75 if code < 500 else 1)  # 4xx: keep the message and try again later; 5xx: it will not get better
