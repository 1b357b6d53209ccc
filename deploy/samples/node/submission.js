// Client submission: mail to anybody, as a mailbox, with a token instead of a password (XOAUTH2).
//
// MAIL_FROM=scanner@contoso.com MAIL_TO=someone@elsewhere.example
// TENANT=contoso.onmicrosoft.com CLIENT_ID=... CLIENT_SECRET_FILE=/run/secrets/app
// The app registration has the role SMTP.SendAsApp, and the right to send as this mailbox: deploy/m365/app.md.
import { readFileSync } from "node:fs";
import nodemailer from "nodemailer";

const { MAIL_HOST = "smtp.office365.com", MAIL_PORT = "587", MAIL_FROM, MAIL_TO } = process.env;
const { AUTHORITY = "https://login.microsoftonline.com", TENANT, CLIENT_ID, CLIENT_SECRET_FILE } = process.env;

// A token is good for an hour: a program that sends more than one message keeps it.
async function accessToken() {
  const answer = await fetch(`${AUTHORITY}/${TENANT}/oauth2/v2.0/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_id: CLIENT_ID,
      client_secret: readFileSync(CLIENT_SECRET_FILE, "utf8").trim(),
      scope: "https://outlook.office365.com/.default",
    }),
    signal: AbortSignal.timeout(30_000),
  });
  const found = await answer.json().catch(() => undefined); // a page in HTML: of a server in trouble, or of a proxy
  if (found?.access_token) return found.access_token;
  const refused = new Error(found?.error_description ?? `${AUTHORITY} answers ${answer.status}, and with no token`); // AADSTS...
  refused.forGood = found !== undefined && answer.status < 500 && answer.status !== 429;
  throw refused;
}

try {
  const transport = nodemailer.createTransport({
    host: MAIL_HOST,
    port: Number(MAIL_PORT),
    secure: false, // that would be TLS from the first byte, port 465, which Microsoft 365 does not offer
    requireTLS: true, // STARTTLS or no login; no `tls: { ciphers, rejectUnauthorized }`: both only weaken it
    auth: { type: "OAuth2", user: MAIL_FROM, accessToken: await accessToken() },
    connectionTimeout: 15_000,
    greetingTimeout: 60_000,
    socketTimeout: 180_000,
  });
  const sent = await transport.sendMail({
    from: MAIL_FROM,
    to: MAIL_TO,
    subject: "Scan 4711",
    text: "Your scan is ready.\n",
  });
  console.log(`handed over: ${sent.response}`);
} catch (error) {
  console.error(error.response ?? error.cause?.message ?? error.message); // relaycanary explain says what it means
  process.exitCode = error.forGood || error.responseCode >= 500 ? 1 : 75; // 1: it will not get better; else keep the message and try again later
}
