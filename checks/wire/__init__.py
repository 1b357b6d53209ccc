"""Clients that several paths and readers share: SMTP and IMAP, with TCP, DNS, TLS and SASL underneath; credentials."""
