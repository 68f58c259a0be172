"""A service elsewhere is asked at public addresses only, once, within a deadline and a bound."""

import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from foundation import fetching
from foundation.fetching import (
    Fetched,
    FetchFailed,
    NotModified,
    UnsafeAddress,
    Validators,
    checked_url,
    fetch,
    is_public,
)
from tests.harness.answering import answering, say

PUBLIC, PRIVATE = "93.184.216.34", "10.0.0.7"


@pytest.fixture
def server():
    with answering() as told:
        yield told


def ask(server, **options):
    given = {"allowed_hosts": {"127.0.0.1"}, "deadline_seconds": 5, "bytes_max": 1000, **options}
    return fetch(server.url, **given)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.7", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:10.0.0.7", "::ffff:127.0.0.1", "64:ff9b::a00:7", "64:ff9b:1::1", "2002:0a00:0007::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "::10.0.0.7", "nonsense", "",
    ],
)  # fmt: skip
def test_what_only_we_can_reach_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_what_everybody_can_reach_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://advice.example/", "https"),
        ("ftp://advice.example/", "https"),
        ("file:///etc/passwd", "https"),
        ("//advice.example/", "https"),
        ("https:///today", "no host"),
        ("https://user:secret@advice.example/", "login"),
        ("https://user@advice.example/", "login"),
        ("https://advice.example/#here", "fragment"),
        ("https://advice.example:22/", "port"),
        ("https://advice.example:99999/", "no URL"),
        ("https://[::1/", "no URL"),
        ("https://127.0.0.1/", "public"),
        ("https://[::1]/", "public"),
        ("https://169.254.169.254/latest/meta-data", "public"),
        ("https://[::ffff:10.0.0.7]/", "public"),
        ("https://advice.example/a b", "ASCII"),
        ("https://advice.example/\n", "ASCII"),
        ("https://ädvice.example/", "ASCII"),
        ("https://advice.example/" + "x" * 500, "500"),
    ],
)
def test_an_address_that_is_not_asked_says_why_and_shows_no_secret(url, why):
    with pytest.raises(UnsafeAddress, match=why) as caught:
        checked_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://advice.example", "https://advice.example:8443/a?b=c", f"https://{PUBLIC}/"]
)
def test_an_address_that_is_asked(url):
    assert checked_url(url).scheme == "https"


def test_an_operators_own_host_may_be_private_on_any_port_and_without_tls():
    assert checked_url("http://10.0.0.7:8080/", allowed_hosts={"10.0.0.7"}).port == 8080
    with pytest.raises(UnsafeAddress):
        checked_url("http://user@10.0.0.7:8080/", allowed_hosts={"10.0.0.7"})


def test_an_address_that_nobody_typed_in_may_be_longer():
    url = "https://advice.example/?symbols=" + "x" * 700
    assert checked_url(url, length_max=800).hostname == "advice.example"
    with pytest.raises(UnsafeAddress, match="at most 600"):
        checked_url(url, length_max=600)


class Names:
    """Stands for the name service and for connecting: a name's answers in turn, and whither one connected."""

    def __init__(self, monkeypatch, *answers):
        self.answers, self.connected = list(answers), []
        monkeypatch.setattr("foundation.sockets.socket.getaddrinfo", self.look_up)
        monkeypatch.setattr("foundation.sockets.socket.socket", self.make)

    def look_up(self, host, port, type=0, flags=0):
        if flags & socket.AI_NUMERICHOST:
            IPv4Address(host) if host[0].isdigit() else self.fail()
        return [(socket.AF_INET, type, 6, "", (address, port)) for address in self.answers.pop(0)]

    def fail(self):
        raise socket.gaierror("a name")

    def make(self, *arguments):
        names = self

        class Socket:
            def settimeout(self, seconds):
                pass

            def connect(self, address):
                names.connected.append(address)
                raise ConnectionRefusedError

            def close(self):
                pass

        return Socket()


def ask_a_name():
    return fetch("https://advice.example/", deadline_seconds=5, bytes_max=1000)


@pytest.mark.parametrize("addresses", [[PRIVATE], [PUBLIC, PRIVATE], [PRIVATE, PUBLIC], ["127.0.0.1"]])
def test_a_name_that_stands_for_anything_private_is_not_connected_to(monkeypatch, addresses):
    names = Names(monkeypatch, addresses)
    with pytest.raises(FetchFailed, match="not public"):
        ask_a_name()
    assert names.connected == []


def test_the_connection_goes_to_the_address_that_was_looked_at(monkeypatch):
    """A name that is public when it is looked at and private a moment later."""
    names = Names(monkeypatch, [PUBLIC], [PRIVATE])
    with pytest.raises(FetchFailed, match="connection broke"):
        ask_a_name()
    assert names.connected == [(PUBLIC, 443)]
    assert names.answers == [[PRIVATE]], "it is asked once"


def test_an_answer_with_its_validators_and_what_was_sent(server):
    server.answer = lambda handler: say(
        handler, 200, b"[1]", ETag='"7"', Last_Modified="Mon, 05 Jan 2004 21:00:00 GMT"
    )
    told = ask(server, token="known-to-nobody-else")
    assert told == Fetched(b"[1]", Validators('"7"', "Mon, 05 Jan 2004 21:00:00 GMT"))
    (sent,) = server.asked
    assert sent["authorization"] == "Bearer known-to-nobody-else"
    assert (sent["accept-encoding"], sent["host"]) == ("identity", f"127.0.0.1:{server.port}")
    assert "if-none-match" not in sent and "cookie" not in sent


def test_what_has_not_changed_is_not_sent_again(server):
    server.answer = lambda handler: say(handler, 304)
    assert ask(server, validators=Validators('"7"', "yesterday")) == NotModified()
    assert (server.asked[0]["if-none-match"], server.asked[0]["if-modified-since"]) == ('"7"', "yesterday")


def test_not_modified_without_having_asked_is_no_answer(server):
    server.answer = lambda handler: say(handler, 304)
    with pytest.raises(FetchFailed):
        ask(server)


@pytest.mark.parametrize("status", [204, 301, 302, 307, 401, 404, 500])
def test_any_other_status_is_a_failure_and_no_redirect_is_followed(server, status):
    server.answer = lambda handler: say(handler, status, Location=server.url + "/elsewhere")
    with pytest.raises(FetchFailed, match=str(status)):
        ask(server)
    assert len(server.asked) == 1


def test_how_long_to_wait_is_told_in_seconds_or_as_a_date(server):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    waits = []
    endless = "Mon, 01 Jan 2024 00:00:00 +99999999999999999"
    for text in ("17", later, "soon", "-3", "٣", endless):
        server.answer = lambda handler, text=text: say(
            handler, 429, Retry_After=text.encode().decode("latin-1")
        )
        with pytest.raises(FetchFailed) as caught:
            ask(server)
        waits.append(caught.value.retry_after)
    assert waits[0] == 17 and 100 < waits[1] <= 120 and waits[2:] == [None] * 4


def test_what_is_no_name_of_a_host_is_a_failure():
    for host in ("a..b", "a" * 64 + ".example"):
        with pytest.raises(FetchFailed):
            fetch(f"https://{host}/", deadline_seconds=5, bytes_max=1000)


def test_a_body_has_a_limit_whether_its_length_is_told_or_not(server):
    def untold(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"x" * 1001)

    for answer in (lambda handler: say(handler, 200, b"x" * 1001), untold):
        server.answer = answer
        with pytest.raises(FetchFailed, match="more than 1000 bytes"):
            ask(server)
    server.answer = lambda handler: say(handler, 200, b"x" * 1000)
    assert len(ask(server).body) == 1000


def test_a_compressed_body_is_not_taken(server):
    server.answer = lambda handler: say(handler, 200, b"\x1f\x8b", Content_Encoding="gzip")
    with pytest.raises(FetchFailed, match="compressed"):
        ask(server)


def test_a_server_that_drips_holds_nobody_beyond_the_deadline(server):
    gone = threading.Event()

    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        while not gone.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    server.answer = drip
    begun = time.monotonic()
    with pytest.raises(FetchFailed, match="within 1 s"):
        ask(server, deadline_seconds=1, bytes_max=10**6)
    gone.set()
    assert time.monotonic() - begun < 10


def test_nobody_there_is_a_failure(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.port = free.getsockname()[1]
        with pytest.raises(FetchFailed, match="connection broke"):
            ask(server)


def test_proxies_of_the_environment_are_not_used(server, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask(server).body == b"{}"


@pytest.fixture
def identity(tmp_path):
    """A certificate for advice.example, which signs itself: (file of certificate and key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "advice.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("advice.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path / "identity.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return file


def test_over_tls_the_name_is_asked_for_and_proved_though_the_address_was_looked_up_before(
    monkeypatch, identity
):
    asked_for = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    context.sni_callback = lambda sock, name, of: asked_for.append(name)
    trusting = ssl.create_default_context(cafile=str(identity))
    monkeypatch.setattr(fetching, "tls_context", lambda: trusting)
    look_up = socket.getaddrinfo

    def local(host, port, **options):
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror("a name")
        return look_up("127.0.0.1", port, type=socket.SOCK_STREAM)

    monkeypatch.setattr("foundation.sockets.socket.getaddrinfo", local)
    with answering(lambda sock: context.wrap_socket(sock, server_side=True)) as server:
        hosts = {"advice.example", "other.example"}
        for host in hosts:
            server.asked.clear()
            url = f"https://{host}:{server.port}/"
            if host == "advice.example":
                told = fetch(url, allowed_hosts=hosts, deadline_seconds=5, bytes_max=1000)
                assert told.body == b"{}"
                assert server.asked[0]["host"] == f"advice.example:{server.port}"
            else:
                with pytest.raises(FetchFailed, match="connection broke"):
                    fetch(url, allowed_hosts=hosts, deadline_seconds=5, bytes_max=1000)
                assert server.asked == []
    assert set(asked_for) == hosts
