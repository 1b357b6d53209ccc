"""Direct send: mail to mailboxes of your own tenant, as anybody on the internet would send it. No login.

MAIL_HOST=contoso-com.mail.protection.outlook.com MAIL_FROM=scanner@contoso.com MAIL_TO=someone@contoso.com
"""

import os
import smtplib
import ssl
import sys
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

message = EmailMessage()
message["From"] = os.environ["MAIL_FROM"]
message["To"] = os.environ["MAIL_TO"]  # hosted in this tenant; anybody else is refused
message["Subject"] = "Scan 4711"
message["Date"] = formatdate(localtime=True)
message["Message-ID"] = make_msgid(domain=message["From"].rpartition("@")[2])
message.set_content("Your scan is ready.\n")

try:
    with smtplib.SMTP(os.environ["MAIL_HOST"], int(os.environ.get("MAIL_PORT", "25")), timeout=60) as smtp:
        smtp.starttls(context=ssl.create_default_context())  # verifies the server; without a context it does not
        smtp.send_message(message)
except smtplib.SMTPRecipientsRefused as refused:
    code, text = next(iter(refused.recipients.values()))
except smtplib.SMTPResponseException as refused:
    code, text = refused.smtp_code, refused.smtp_error
except OSError as error:  # no connection, no trust in the certificate, a connection that broke
    print(error, file=sys.stderr)
    sys.exit(75)
else:
    print("handed over")
    sys.exit(0)
print(f"{code} {text.decode(errors='replace')}", file=sys.stderr)  # relaycanary explain says what it means
sys.exit(75 if code < 500 else 1)  # 4xx: keep the message and try again later; 5xx: it will not get better
