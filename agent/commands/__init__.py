"""One file per command; `agent.__main__` turns the command line into calls of these."""
