"""One canary now, for ``relaycanary probe``: how it is sent and awaited, and the three ways of telling about it."""
