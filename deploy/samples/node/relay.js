// SMTP relay: mail to anybody, by a connector that knows this machine by its address or its certificate.
//
// MAIL_HOST=contoso-com.mail.protection.outlook.com MAIL_FROM=scanner@contoso.com MAIL_TO=someone@elsewhere.example
import { readFileSync } from "node:fs";
import nodemailer from "nodemailer";

const { MAIL_HOST, MAIL_PORT = "25", MAIL_FROM, MAIL_TO, MAIL_CERTIFICATE } = process.env;
// private key, certificate and intermediates, in one PEM file
const pem = MAIL_CERTIFICATE ? readFileSync(MAIL_CERTIFICATE) : undefined;

const transport = nodemailer.createTransport({
  host: MAIL_HOST,
  port: Number(MAIL_PORT),
  secure: false, // that would be TLS from the first byte, port 465, which Microsoft 365 does not offer
  requireTLS: true, // STARTTLS or no mail
  tls: { key: pem, cert: pem }, // no `ciphers: "SSLv3"`, no `rejectUnauthorized: false`: both only weaken it
  connectionTimeout: 15_000,
  greetingTimeout: 60_000,
  socketTimeout: 180_000,
});
try {
  const sent = await transport.sendMail({
    from: MAIL_FROM, // of an accepted domain; it becomes the envelope's sender too
    to: MAIL_TO,
    subject: "Scan 4711",
    text: "Your scan is ready.\n",
  });
  console.log(`handed over: ${sent.response}`);
} catch (error) {
  console.error(error.response ?? error.cause?.message ?? error.message); // relaycanary explain says what it means
  process.exitCode = error.responseCode >= 500 ? 1 : 75; // 5xx: it will not get better; else keep the message and try again later
}
