"""TLS with an authority of one's own, and with a client certificate."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from parts.metrics import batch_of, metric
from parts.receiver import Certificates, Receiver
from signals_core import Unavailable
from signals_vector import Http


def test_an_authority_of_ones_own_is_trusted(
    tls_receiver: Receiver, certificates: Certificates, opened: Callable[..., Http]
) -> None:
    """`ca_file` makes a receiver known that the system does not know."""
    opened(uri=tls_receiver.uri, ca_file=certificates.ca).write(batch_of(metric()))
    assert len(tls_receiver.metrics()) == 1


@pytest.mark.parametrize("trusting", ["system", "stranger"])
def test_an_unknown_receiver_gets_nothing(
    tls_receiver: Receiver, certificates: Certificates, opened: Callable[..., Http], trusting: str
) -> None:
    """A certificate that nobody vouches for ends the connection before a byte of data."""
    ca_file = certificates.stranger_ca if trusting == "stranger" else None
    with pytest.raises(Unavailable) as caught:
        opened(uri=tls_receiver.uri, ca_file=ca_file).write(batch_of(metric()))
    words = "TLS: unable to get local issuer certificate"
    assert str(caught.value) == f"POST {tls_receiver.uri}: {words}"
    assert tls_receiver.requests() == []


def test_a_certificate_of_another_host_is_refused(
    tls_receiver: Receiver, certificates: Certificates, opened: Callable[..., Http]
) -> None:
    """The certificate must name the host of the address."""
    uri = tls_receiver.uri.replace("127.0.0.1", "localhost")
    with pytest.raises(Unavailable, match=r"TLS: Hostname mismatch, .*'localhost'$"):
        opened(uri=uri, ca_file=certificates.ca).write(batch_of(metric()))


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_verification_can_be_switched_off(
    tls_receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """`verify_tls: false` takes any certificate."""
    opened(uri=tls_receiver.uri, verify_tls=False).write(batch_of(metric()))
    assert len(tls_receiver.metrics()) == 1


def test_a_client_certificate_is_shown(
    mtls_receiver: Receiver, certificates: Certificates, opened: Callable[..., Http]
) -> None:
    """A receiver that asks who we are is shown `client_cert`."""
    opened(
        uri=mtls_receiver.uri,
        ca_file=certificates.ca,
        client_cert=certificates.client_cert,
        client_key=certificates.client_key,
    ).write(batch_of(metric()))
    assert len(mtls_receiver.metrics()) == 1


def test_without_a_client_certificate_nothing_is_taken(
    mtls_receiver: Receiver, certificates: Certificates, opened: Callable[..., Http]
) -> None:
    """A receiver that asks in vain ends the connection, and the batch is not accepted."""
    with pytest.raises(Unavailable, match=r"TLS|reset") as caught:
        opened(uri=mtls_receiver.uri, ca_file=certificates.ca).write(batch_of(metric()))
    assert "\n" not in str(caught.value)
    assert mtls_receiver.requests() == []


def test_one_file_may_hold_certificate_and_key(
    mtls_receiver: Receiver, certificates: Certificates, opened: Callable[..., Http], tmp_path: Path
) -> None:
    """`client_key` may be left out where `client_cert` holds the key."""
    both = tmp_path / "both.pem"
    both.write_bytes(certificates.client_key.read_bytes() + certificates.client_cert.read_bytes())
    opened(uri=mtls_receiver.uri, ca_file=certificates.ca, client_cert=both).write(
        batch_of(metric())
    )
    assert len(mtls_receiver.metrics()) == 1


def test_a_file_of_no_use_is_named(
    certificates: Certificates, opened: Callable[..., Http], tmp_path: Path
) -> None:
    """A TLS file that is missing, is no PEM, or does not fit is one clear line at `open()`."""
    uri, junk, missing = "https://127.0.0.1:1/", tmp_path / "junk", tmp_path / "missing"
    junk.write_text("junk")
    cert, key = certificates.client_cert, certificates.server
    for fields, words in [
        ({"ca_file": missing}, f"ca_file {missing}: no such file or directory"),
        ({"ca_file": junk}, f"ca_file {junk}: no certificate or crl found"),
        ({"client_cert": junk}, f"client_cert {junk}: no pem file"),
        (
            {"client_cert": cert, "client_key": key},
            f"client_cert {cert} and client_key {key}: key values mismatch",
        ),
    ]:
        with pytest.raises(Unavailable) as caught:
            opened(uri=uri, **fields)
        assert str(caught.value) == words


def test_a_key_with_a_pass_phrase_is_refused_and_not_asked_for(
    opened: Callable[..., Http], certificates: Certificates, tmp_path: Path
) -> None:
    """Nobody sits at the terminal of a daemon to type a pass phrase."""
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(certificates.client_key.read_bytes(), None)
    sealed = form.BestAvailableEncryption(b"phrase")
    locked = tmp_path / "locked.key"
    locked.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, sealed))
    with pytest.raises(Unavailable, match="the key has a pass phrase, which cannot be given"):
        opened(uri="https://127.0.0.1:1/", client_cert=certificates.client_cert, client_key=locked)


def test_plain_http_where_tls_is_spoken_is_one_line(
    receiver: Receiver, tls_receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """A wrong scheme in the address, either way, is an error and not a traceback."""
    for uri in (receiver.uri.replace("http", "https"), tls_receiver.uri.replace("https", "http")):
        with pytest.raises(Unavailable) as caught:
            opened(uri=uri).write(batch_of(metric()))
        assert str(caught.value).startswith(f"POST {uri}: ")


def test_a_handshake_that_never_ends_is_given_up(opened: Callable[..., Http]) -> None:
    """`connect_timeout` bounds the handshake too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(Unavailable) as caught:
            opened(uri=uri).write(batch_of(metric()))
    assert str(caught.value) == f"POST {uri}: no TLS handshake within 0.3 s"
