"""From facts to findings, one file a topic. Pure: no I/O, and the time is an argument."""
