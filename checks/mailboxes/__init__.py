"""Mailbox readers, one file each; what they have in common is in `checks.wire`."""
