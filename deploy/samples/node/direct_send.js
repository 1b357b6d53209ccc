// Direct send: mail to mailboxes of your own tenant, as anybody on the internet would send it. No login.
//
// MAIL_HOST=contoso-com.mail.protection.outlook.com MAIL_FROM=scanner@contoso.com MAIL_TO=someone@contoso.com
import nodemailer from "nodemailer";

const { MAIL_HOST, MAIL_PORT = "25", MAIL_FROM, MAIL_TO } = process.env;

const transport = nodemailer.createTransport({
  host: MAIL_HOST,
  port: Number(MAIL_PORT),
  secure: false, // that would be TLS from the first byte, port 465, which Microsoft 365 does not offer
  requireTLS: true, // STARTTLS or no mail; no `tls: { ciphers, rejectUnauthorized }`: both only weaken it
  connectionTimeout: 15_000,
  greetingTimeout: 60_000,
  socketTimeout: 180_000,
});
try {
  const sent = await transport.sendMail({
    from: MAIL_FROM,
    to: MAIL_TO, // hosted in this tenant; anybody else is refused
    subject: "Scan 4711",
    text: "Your scan is ready.\n",
  });
  console.log(`handed over: ${sent.response}`);
} catch (error) {
  console.error(error.response ?? error.cause?.message ?? error.message); // relaycanary explain says what it means
  process.exitCode = error.responseCode >= 500 ? 1 : 75; // 5xx: it will not get better; else keep the message and try again later
}
