import pytest
import yaml

from agent.commands.check_config import check_config


def test_settings_that_can_be_used_are_summed_up_in_one_line(workspace, capsys):
    file = workspace.copy("good/minimal.yaml")
    assert check_config(file) == 0
    out, err = capsys.readouterr()
    assert out == f"{file} can be used: 2 checks, 2 paths, 1 mailbox, 2 credentials, no warnings\n"
    assert err == ""


def test_warnings_go_to_standard_error_and_do_not_fail(workspace, edited, capsys):
    file = workspace.write(edited(("paths:\n", "alerts: {channels: [{url: {file: mail-url}}]}\npaths:\n")))
    assert check_config(file) == 0
    out, err = capsys.readouterr()
    assert out.endswith("2 credentials, 1 warning\n")
    assert err.startswith(f"{file}:6: warning: alerts.channels[0].url: this channel sends mail, ")


def test_problems_go_to_standard_error_one_a_line_and_fail(workspace, capsys):
    file = workspace.copy("bad/several_problems.yaml")
    assert check_config(file) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        [f"{file}:4", "credentials.outside.password"],
        [f"{file}:7", "paths.relay.kind"],
        [f"{file}:19", "checks.relay.mailbox"],
        [f"{file}:20", "checks.relay.every"],
    ]


def test_long_lines_are_not_broken_and_no_colour_is_left_in_a_pipe(workspace, capsys):
    check_config(workspace.copy("bad/port_465_for_submission.yaml"))
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err


def test_square_brackets_in_a_message_are_text_and_not_markup(workspace, edited, capsys):
    check_config(workspace.write(edited(("host: mx.contoso.example", "host: '[red]mx[/blue]'"))))
    assert "'[red]mx[/blue]'" in capsys.readouterr().err


def test_print_writes_only_the_settings_to_standard_output(workspace, capsys):
    assert check_config(workspace.copy("good/minimal.yaml"), print_settings=True) == 0
    out, err = capsys.readouterr()
    assert set(yaml.safe_load(out)) == {"agent", "web", "credentials", "paths", "mailboxes", "checks"}
    assert "can be used" in err
    assert "hunter2" not in out + err


def test_bad_settings_are_not_printed(workspace, capsys):
    assert check_config(workspace.copy("bad/literal_secret.yaml"), print_settings=True) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Tr0ub4dor" not in err


def test_without_a_name_the_environment_says_which_file(workspace, monkeypatch, capsys):
    monkeypatch.setenv("RELAYCANARY_CONFIG", str(workspace.copy("good/minimal.yaml")))
    assert check_config() == 0
    assert "can be used" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_one_clear_line(name, workspace, capsys):
    assert check_config(workspace.folder / name) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
