"""What can go wrong with the testbed itself."""


class TestbedError(Exception):
    """The testbed cannot do what was asked; the text is one sentence (with log lines below it) that says what to do."""

    __test__ = False  # pytest collects imported classes whose name starts with Test
