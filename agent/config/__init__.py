"""The settings: where they are found, how they are read, what they may say, and what is wrong with them.

`load` reads a file into `settings.Settings` or raises `problems.SettingsError`, which names every problem with its
file, line and key; `build` makes the configured credentials, paths and mailbox readers.
"""
