import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from agent.config.load import load
from agent.config.settings import Settings

DATA = Path(__file__).parents[2] / "data" / "settings"


@dataclass(frozen=True)
class Workspace:
    """A folder with everything that the settings files of the tests refer to."""

    folder: Path

    def write(self, text: str | bytes) -> Path:
        file = self.folder / "relaycanary.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def copy(self, name: str) -> Path:
        return self.write((DATA / name).read_bytes())

    def load(self, text: str, *, now: datetime | None = None) -> Settings:
        return load(self.write(text), now=now)

    def secret(self, name: str, content: str, mode: int = 0o600) -> Path:
        file = self.folder / name
        file.write_text(content)
        file.chmod(mode)
        return file

    def warnings(self, text: str, *, now: datetime | None = None) -> list[str]:
        """Return the warnings about *text*, without the name of the file."""
        return [str(warning).removeprefix(f"{self.folder}/") for warning in self.load(text, now=now).warnings]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    leaf = authority.issue_cert("relay.contoso.example", not_after=datetime(2040, 1, 1, tzinfo=UTC))
    expired = authority.issue_cert("relay.contoso.example", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    key = load_pem_private_key(leaf.private_key_pem.bytes(), password=None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open-sesame"))
    certificate = leaf.cert_chain_pems[0].bytes()
    for name, content in {
        "authority.pem": authority.cert_pem.bytes(),
        "relay.pem": leaf.private_key_and_cert_chain_pem.bytes(),
        "relay-leaf-first.pem": certificate + leaf.private_key_pem.bytes(),
        "certificate.pem": certificate,
        "mismatched.pem": certificate + expired.private_key_pem.bytes(),
        "encrypted.pem": certificate + encrypted,
        "expired.pem": expired.private_key_and_cert_chain_pem.bytes(),
    }.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    return folder


@pytest.fixture
def workspace(tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    made = Workspace(tmp_path)
    for file in certificates.iterdir():
        shutil.copy(file, tmp_path)
    made.secret("k1", "0123456789abcdef0123456789abcdef\n")
    made.secret("outside", "hunter2\n")
    made.secret("token", "eyJ0eXAiOiJKV1Qi\n")
    made.secret("empty", "\n")
    made.secret("mail-url", "mailtos://user:hunter2@contoso.example\n")
    made.secret("other-mail-url", "mailtos://user:hunter2@elsewhere.example\n")
    made.secret("pagerduty-url", "pagerduty://hunter2@hunter3\n")
    monkeypatch.delenv("RELAYCANARY_TEST_UNSET", raising=False)
    monkeypatch.delenv("RELAYCANARY_CONFIG", raising=False)
    return made


Edit = Callable[..., str]


@pytest.fixture(scope="session")
def edited() -> Edit:
    """Return a good settings file in which each pair of strings was replaced."""

    def edit(*changes: tuple[str, str], name: str = "good/minimal.yaml") -> str:
        text = (DATA / name).read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
            text = text.replace(old, new)
        return text

    return edit
