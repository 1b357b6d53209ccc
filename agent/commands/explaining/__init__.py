"""What ``relaycanary explain`` makes of its inputs: what they are, and the two ways of telling about it."""
