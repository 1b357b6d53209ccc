"""Reading a mailbox over IMAP4rev1 (RFC 3501; RFC 9051 where it is clearer), with IDLE and UIDPLUS.

From the wire upwards: `doorbell` wakes a thread, `transport` is a socket that never blocks for longer than it may,
`client` teaches imaplib and IMAPClient to use it, `login` and `session` speak IMAP, and `connection` owns the thread
that a session lives in. Only `connection` may be touched from an event loop.
"""
