"""The lab as Microsoft's identity platform (Entra ID): who the app is, and the tokens that it gets."""

from __future__ import annotations

from checks.lab.entra.directory import Directory, Resource, load_app_keys
from checks.lab.entra.service import identity_platform
from checks.lab.entra.tokens import Claims, TokenAuthority, TokenRefused, Wrong

__all__ = [
    "Claims",
    "Directory",
    "Resource",
    "TokenAuthority",
    "TokenRefused",
    "Wrong",
    "identity_platform",
    "load_app_keys",
]
