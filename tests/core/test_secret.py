"""Secrets show nothing, and what is known of them is masked wherever text leaves the process."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from threading import Thread
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from signals_core import Secret
from signals_core.errors import reason_of
from signals_core.references import Unresolved
from signals_core.secret import MASK, mask, remember


@pytest.mark.parametrize(
    "show", [repr, str, format, ascii, "{0!r} {0!s}".format, lambda it: f"{it}"]
)
def test_a_secret_shows_nothing(show):
    """Whatever shows a secret shows its mask."""
    shown = show(Secret("opensesame-1"))
    assert "opensesame" not in shown and MASK in shown


def test_reveal(monkeypatch, tmp_path):
    """A secret is resolved at every reveal, so that what was rotated is taken up."""
    monkeypatch.setenv("OPEN", "first-value")
    file = tmp_path / "password"
    file.write_text("file-one\n")
    secret = Secret(f"${{OPEN}}:${{file:{file}}}:$${{x}}")
    assert secret.reveal() == "first-value:file-one:${x}"
    monkeypatch.setenv("OPEN", "second-value")
    file.write_text("file-two\n")
    assert secret.reveal() == "second-value:file-two:${x}"
    assert mask("second-value:file-two:${x} and file-one and file-two") == "*** and *** and ***"


def test_a_secret_that_is_not_there(tmp_path):
    """What a secret refers to may be missing when it is revealed, not when it is made."""
    secret = Secret(f"${{file:{tmp_path}/nothing}}")
    with pytest.raises(Unresolved, match="cannot be read: No such file"):
        secret.reveal()


def test_equality():
    """Secrets are equal when their templates are, and no text is equal to one."""
    assert Secret("${A}") == Secret("${A}") != Secret("${B}")
    assert len({Secret("${A}"), Secret("${A}"), Secret("${B}")}) == 2
    assert Secret("${A}") != "${A}"


def test_copies():
    """A copy is as good as the secret itself."""
    secret = Secret("${A}")
    assert (
        copy.deepcopy(secret) == copy.copy(secret) == pickle.loads(pickle.dumps(secret)) == secret
    )


def test_plain_text_is_masked_at_once():
    """A secret written in clear is masked before anybody reveals it."""
    Secret("written-in-clear")
    assert mask("it says written-in-clear!") == "it says ***!"


plain = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
words = st.text("0123456789!@/:?#%&=+ \"'\\äé", min_size=6, max_size=20)


@given(words.map(str.strip).filter(lambda word: len(word) >= 6), plain, plain)
def test_what_is_remembered_is_never_shown(secret, before, after):
    """A remembered secret of some length is in no masked text, whatever stands around it."""
    assume(secret not in before + MASK + after)
    remember(secret)
    for spelling in (
        secret,
        quote(secret, safe=""),
        unquote(secret),
        repr(secret)[1:-1],
        repr(f"{secret}'\"")[1:-4],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    ):
        if len(spelling) >= 6:
            assert spelling not in mask(before + spelling + after)


@pytest.mark.parametrize(
    ("secret", "text", "masked"),
    [
        ("q1", "the password is q1.", "the password is ***."),
        ("q1", "q1", "***"),
        ("q1", "faq12 and q1q", "faq12 and q1q"),
        ("@7", "user@7", "user***"),
        ("q!", "q!x", "***x"),
        ("zq3\n", "(zq3)", "(***)"),
    ],
)
def test_short_secrets(secret, text, masked):
    """A short secret is masked as a whole word only, or it would riddle every message."""
    remember(secret)
    assert mask(text) == masked


def test_a_secret_that_is_a_key():
    """A secret that is called like the key of another one does not uncover it."""
    remember("secretkey_password")
    assert mask("secretkey_password=Tr0ub") == "***=***"


@pytest.mark.parametrize("secret", ["", " ", "\n\t"])
def test_nothing_is_no_secret(secret):
    """An empty secret masks nothing."""
    remember(secret)
    assert mask("some text") == "some text"


def test_the_longest_secret_is_masked_first():
    """Of a secret that begins with another, nothing is left over."""
    remember("longest-se")
    remember("longest-secret-of-all")
    assert mask("longest-secret-of-all longest-se") == "*** ***"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://me:Tr0ub@localhost/db", "postgresql://me:***@localhost/db"),
        ("mongodb+srv://me:Tr0ub@a,b:27017/", "mongodb+srv://me:***@a,b:27017/"),
        ("redis://:Tr0ub@localhost", "redis://:***@localhost"),
        ("amqp://me:Tr0@ub@localhost", "amqp://me:***@localhost"),
        ("http://me:Tr0/ub?#@localhost/x", "http://me:***@localhost/x"),
        ("a://u:p1@h,b://v:q2@i/", "a://u:***@h,b://v:***@i/"),
        ('{"uri": "a://u:Tr0ub@h"}', '{"uri": "a://u:***@h"}'),
        ("http://localhost:9999/metrics", "http://localhost:9999/metrics"),
        ("postgresql://me@localhost/db", "postgresql://me@localhost/db"),
        ("see https://host/a and me@example.org", "see https://host/a and me@example.org"),
        ("host=h password=Tr0ub user=me", "host=h password=*** user=me"),
        ("password='Tr0 \\'ub' user=me", "password=*** user=me"),
        ('password="Tr0 ub" user=me', "password=*** user=me"),
        ("db?sslpassword=Tr0ub&sslmode=on", "db?sslpassword=***&sslmode=on"),
        ("/x?access_token=Tr0ub&a=b", "/x?access_token=***&a=b"),
        ("/x?client-secret=Tr0ub", "/x?client-secret=***"),
        ("/x?API_KEY=Tr0ub", "/x?API_KEY=***"),
        ("the password is wrong", "the password is wrong"),
    ],
)
def test_passwords_inside_uris(text, masked):
    """A password inside a URI or a connection string is masked, known or not."""
    assert mask(text) == masked


def test_passwords_of_remembered_uris():
    """A password inside a URI that is a secret is masked by itself too, decoded or not."""
    remember("postgresql://me:corr%2Fhorse@localhost/db?sslpassword=batt%25staple")
    assert mask("corr/horse corr%2Fhorse") == "*** ***"
    assert mask("batt%staple batt%25staple") == "*** ***"
    assert mask("me at localhost") == "me at localhost"


def test_a_password_equal_to_its_user():
    """A password equal to its user hides nothing, and is masked in URIs only."""
    remember("postgresql://shopper:shopper@localhost/db")
    assert mask("role shopper does not exist") == "role shopper does not exist"
    assert mask("postgresql://shopper:shopper@localhost/db") == MASK
    assert mask("postgresql://shopper:shopper@other/db") == "postgresql://shopper:***@other/db"


def test_errors_are_masked():
    """What an exception says of a secret is masked in the one line that people see."""
    remember("swordfish-9")
    assert reason_of(ValueError("no: 'swordfish-9'\nreally")) == "no: '***' really"
    quoted = "back\\slash'9"
    remember(quoted)
    assert reason_of(ValueError(f"no: {quoted!r}")) == 'no: "***"'


def test_secrets_in_an_exception():
    """A secret that is an argument of an exception is not in its text."""
    error = ValueError("no", Secret("in-an-argument"))
    assert "in-an-argument" not in "".join(traceback.format_exception(error))


def test_text_that_is_no_utf8():
    """An environment variable may hold bytes that are no UTF-8: they are masked like any."""
    remember("pass\udcffword")
    assert mask("pass\udcffword") == MASK


def test_many_threads_remember():
    """Secrets that several threads remember at once are all known."""
    threads = [
        Thread(target=lambda n=n: [remember(f"thread-{n}-{i}-secret") for i in range(20)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(4):
        for i in range(20):
            assert mask(f"thread-{n}-{i}-secret") == MASK
