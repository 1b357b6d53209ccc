import pytest

from agent.config.secrets import SecretSource
from checks.errors import LocalFault
from checks.settings import SecretReference


def test_a_secret_is_read_each_time_so_that_it_can_be_renewed(workspace):
    source = SecretSource(SecretReference(file=workspace.secret("password", "old")))
    assert source() == "old"
    workspace.secret("password", "new")
    assert source() == "new"


def test_a_secret_in_the_environment_is_read_each_time(monkeypatch):
    source = SecretSource(SecretReference(env="RELAYCANARY_TEST_SECRET"))
    monkeypatch.setenv("RELAYCANARY_TEST_SECRET", "old")
    assert source() == "old"
    monkeypatch.setenv("RELAYCANARY_TEST_SECRET", "new")
    assert source() == "new"


@pytest.mark.parametrize(
    ("content", "secret"),
    [("word\n", "word"), ("word\r\n", "word"), ("word\n\n", "word\n"), (" w o r d ", " w o r d ")],
)
def test_only_the_newline_at_the_end_of_a_file_is_no_part_of_the_secret(content, secret, tmp_path):
    file = tmp_path / "password"
    file.write_bytes(content.encode())
    assert SecretSource(SecretReference(file=file))() == secret


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"x" * 65537, "is larger than 64 kB"),
    ],
)
def test_a_file_that_holds_no_secret_is_our_own_fault(content, message, tmp_path):
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(LocalFault, match=f"{file} {message}"):
        SecretSource(SecretReference(file=file))()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LocalFault, match="password cannot be read: No such file or directory"):
        SecretSource(SecretReference(file=tmp_path / "password"))()


def test_a_missing_variable_is_named(monkeypatch):
    monkeypatch.delenv("RELAYCANARY_TEST_UNSET", raising=False)
    with pytest.raises(LocalFault, match="the environment variable RELAYCANARY_TEST_UNSET is not set"):
        SecretSource(SecretReference(env="RELAYCANARY_TEST_UNSET"))()


def test_an_empty_variable_is_named(monkeypatch):
    monkeypatch.setenv("RELAYCANARY_TEST_SECRET", "")
    with pytest.raises(LocalFault, match="RELAYCANARY_TEST_SECRET is empty"):
        SecretSource(SecretReference(env="RELAYCANARY_TEST_SECRET"))()


def test_neither_repr_nor_fault_knows_the_secret(workspace):
    source = SecretSource(SecretReference(file=workspace.secret("password", "hunter2")))
    assert source() == "hunter2"
    assert "hunter2" not in repr(source)


@pytest.mark.parametrize(
    ("mode", "others"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o620, False)]
)
def test_a_file_that_others_may_read_is_noticed(mode, others, workspace):
    file = workspace.secret("password", "hunter2", mode)
    assert SecretSource(SecretReference(file=file)).readable_by_others() is others


@pytest.mark.parametrize(("mode", "others"), [(0o440, False), (0o640, False), (0o444, True)])
def test_the_group_may_read_a_file_of_somebody_else(mode, others, workspace, monkeypatch):
    """So are credentials of systemd and secrets of Kubernetes kept: they are root's."""
    file = workspace.secret("password", "hunter2", mode)
    monkeypatch.setattr("os.geteuid", lambda: file.stat().st_uid + 1)
    assert SecretSource(SecretReference(file=file)).readable_by_others() is others


def test_a_variable_is_not_a_file_that_others_may_read():
    assert not SecretSource(SecretReference(env="HOME")).readable_by_others()
