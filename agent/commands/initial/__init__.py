"""The pure part of ``relaycanary init``: from answers to a method, a settings file, and the steps in the tenant."""
