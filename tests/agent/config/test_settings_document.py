"""Reading YAML: plain values, the line of every key, and bounds."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config import document
from agent.config.load import load
from agent.config.problems import Problems, SettingsError


def read(file: Path) -> tuple[dict, Problems]:
    problems = Problems(file)
    return document.read(file, problems), problems


def refusal(file: Path) -> str:
    with pytest.raises(SettingsError) as refused:
        read(file)
    assert len(refused.value.problems) == 1
    return str(refused.value).removeprefix(str(file))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("", None),
        ("null", None),
        ("587", 587),
        ("0587", 587),
        ("-1", -1),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1.2", 1.2),
        ("12:30", "12:30"),
        ("2026-12-31", "2026-12-31"),
        (".inf", ".inf"),
        ('"587"', "587"),
        ("60s", "60s"),
        ("[a, 1]", ["a", 1]),
        ("=", "="),
    ],
)
def test_scalars_are_read_as_in_yaml_1_2(written, value, workspace):
    data, problems = read(workspace.write(f"key: {written}\n"))
    assert data == {"key": value}
    assert not problems.errors


def test_every_key_and_list_entry_knows_its_line(workspace):
    _, problems = read(workspace.write("a:\n  b:\n    - x\n    - c: 1\n\nd: {e: 2,\n  f: 3}\n"))
    lines = {("a",): 1, ("a", "b"): 2, ("a", "b", 0): 3, ("a", "b", 1): 4, ("a", "b", 1, "c"): 4}
    assert problems.lines == lines | {("d",): 6, ("d", "e"): 6, ("d", "f"): 7}


def test_a_merge_key_gives_defaults_that_the_mapping_itself_overrides(workspace):
    data, problems = read(workspace.write("a: &a {x: 1, y: 2}\nb: &b {x: 3}\nc:\n  y: 9\n  <<: [*b, *a]\n  z: 4\n"))
    assert data["c"] == {"x": 3, "y": 9, "z": 4}
    assert problems.lines[("c", "y")] == 4
    assert not problems.errors


def test_a_merge_key_takes_mappings_only(workspace):
    _, problems = read(workspace.write("a: {<<: text}\n"))
    assert [problem.message for problem in problems.errors] == ["<< takes a mapping, or a list of mappings"]


def test_a_key_that_is_no_text_is_refused(workspace):
    _, problems = read(workspace.write("a:\n  ? [x]\n  : y\n"))
    assert [(problem.line, problem.message) for problem in problems.errors] == [(2, "a key must be plain text")]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: &a\n  <<: *a\n",
        "a: &a {<<: [*a, *a]}\n",
        "a: &a [x, x, x, x, x, x, x]\n"
        + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
        ),
    ],
)
def test_aliases_cannot_unfold_without_end(text, workspace):
    assert refusal(workspace.write(text)) == ":1: holds more, aliases unfolded, than any settings need"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_nesting_is_bounded(opening, workspace):
    assert refusal(workspace.write(opening * 5000)).endswith("is not valid YAML: nested more than 30 levels deep")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": is empty: see the example in the documentation, or let `relaycanary init` write one"),
        (
            b"# nothing but a comment\n",
            ": is empty: see the example in the documentation, or let `relaycanary init` write one",
        ),
        (b"just text\n", ":1: must be a mapping of sections (agent, paths, mailboxes, checks, ...)"),
        (
            b"a: 1\n---\nb: 2\n",
            ":2: is not valid YAML: expected a single document in the stream: but found another document",
        ),
        (b"a: 1\nb: \x00\n", ":2: is not valid YAML: it contains a control character"),
        (b"a: 1\n\xff\xfea\x00\n", ":2: is not UTF-8 text (byte 0xff)"),
        (b'a: "\\UFFFFFFFF"\n', ": is not valid YAML: a number in an escape or a directive is out of range"),
        (b"a: " + b"x" * 1024 * 1024, ": is larger than 1024 kB: this is not a settings file"),
    ],
)
def test_what_is_no_settings_file_is_refused_in_one_line(content, message, workspace):
    assert refusal(workspace.write(content)) == message


def test_a_byte_order_mark_is_no_part_of_the_settings(workspace):
    assert read(workspace.write("\ufeffa: 1\n"))[0] == {"a": 1}


@pytest.mark.parametrize("escape", [r"\0", r"\uD800"])
def test_characters_that_no_setting_can_have_are_refused(escape, workspace):
    data, problems = read(workspace.write(f'a: "x{escape}y"\n'))
    assert data == {"a": "x?y"}
    assert "which no setting can have" in str(problems.errors[0])


def test_a_number_that_cannot_be_read_is_said_once(workspace):
    _, problems = read(workspace.write(f"a: {'9' * 5000}\n"))
    problems.error(("a",), "something that follows from it")
    assert [problem.message for problem in problems.errors] == ["is not a number that can be read"]


def test_a_folder_is_refused(tmp_path):
    assert refusal(tmp_path) == ": cannot be read: Is a directory"


def test_a_missing_file_is_refused(tmp_path):
    assert refusal(tmp_path / "relaycanary.yaml") == ": cannot be read: No such file or directory"


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    file = tmp_path / "relaycanary.yaml"
    file.symlink_to(file)
    assert refusal(file) == ": cannot be read: Too many levels of symbolic links"


def test_an_impossible_file_name_is_refused():
    with pytest.raises(SettingsError, match="not a file name"):
        read(Path("relaycanary\0.yaml"))


_SIGNS = "&a *a << : - [ ] { } | > ! ' , # % @ ? ~ --- true 1.2 60s \\ \\U0010FFFF agent paths relay checks"
_WORDS = st.sampled_from([*_SIGNS.split(), '"', " ", "\n", "\n  "])
_ANYTHING = st.one_of(st.binary(max_size=300), st.text(max_size=300), st.lists(_WORDS, max_size=60).map("".join))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_ANYTHING)
def test_no_content_brings_anything_but_a_settings_error(content, workspace):
    raw = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
    with pytest.raises(SettingsError) as refused:
        load(workspace.write(raw))
    str(refused.value).encode()


_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("60s")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_PLACES = [
    "[{id: k1, secret: {file: k1}}]",
    "{file: outside}",
    "mx.contoso.example",
    "submission\n    host",
    "    bounces: outside\nmail",
    "{kind: imap, host: imap.outside.example, credential: outside, address: canary@outside.example}",
    "{path: submission, mailbox: outside, every: 5m}",
    "    every: 60s\n",
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(_PLACES), value=_VALUES)
def test_no_value_in_any_place_brings_anything_but_a_settings_error(place, value, workspace, edited):
    written = document.yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    if place.endswith("\n"):
        written = f"    every: {written}\n"
    elif place.endswith("mail"):
        written = f"    bounces: {written}\nmail"
    elif place.endswith("host"):
        written = f"{written}\n    host"
    try:
        outcome = load(workspace.write(edited((place, written))))
    except SettingsError as refused:
        outcome = refused.problems
    assert outcome
