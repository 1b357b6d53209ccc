"""The pieces of ``relaycanary report``."""
