"""The pure part: values and decisions. No I/O, no clock, no randomness, no logging; a machine keeps it so."""
