"""Stage: read back. One watcher per mailbox looks for canaries and bounces, and writes down what it finds."""

from agent.watch.clean import Cleaner
from agent.watch.interpret import Interpreter
from agent.watch.watcher import Watcher, look_every

__all__ = ["Cleaner", "Interpreter", "Watcher", "look_every"]
