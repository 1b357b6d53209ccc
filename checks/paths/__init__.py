"""The ways to send, one file each. A path is found by its entry point and imports no other."""
