"""A private RabbitMQ: its own node name, cookie, epmd, data and ports on 127.0.0.1. No system service is touched.

Started once per test process (with pytest-xdist: once per worker that needs it), by Debian's package rabbitmq-server.
Root with a network installs that; elsewhere, if it is missing, the tests are skipped by name. With CI=true they fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pika
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hub.prove.rabbitmq import USER, Node, free_ports, there
from tests.adapters.network import Proxy, until

LARGEST = 6_000_000

__all__ = ["LARGEST", "USER", "Broker", "Proxy", "certify", "free_ports", "proxy", "server", "until"]


def installed() -> bool:
    """True when the package is there, or can be had: by root, over the network, without starting the service."""
    if not there() and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        words = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends"]
        with suppress(subprocess.SubprocessError):
            for step in (["apt-get", "-qq", "update"], [*words, "rabbitmq-server"]):
                subprocess.run(step, env=quiet, capture_output=True, check=True, timeout=200)
    return there()


def certify(folder: Path, name: str) -> None:
    """An authority `name`.ca.pem, and a certificate of it for 127.0.0.1 and the user USER: `name`.pem with its key."""
    now = datetime.now(UTC)

    def build(subject: str, key: ec.EllipticCurvePrivateKey, issuer: str) -> x509.CertificateBuilder:
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (issuer, subject)]
        return x509.CertificateBuilder(
            names[0], names[1], key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1)
        )

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    authority = (
        build(f"{name} CA", root, f"{name} CA")
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root.public_key()), critical=False)
        .sign(root, SHA256())
    )
    certificate = (
        build(USER, own, f"{name} CA")
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
        .sign(root, SHA256())
    )
    (folder / f"{name}.ca.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    key = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM) + key)


class Broker(Node):
    """A node with TLS too, and what a party does at it."""

    def __init__(self, folder: Path) -> None:
        [self.tls] = free_ports(1)
        certify(folder, "good")
        settings = (
            f"listeners.ssl.1 = 127.0.0.1:{self.tls}",
            f"ssl_options.cacertfile = {folder}/good.ca.pem",
            f"ssl_options.certfile = {folder}/good.pem",
            f"ssl_options.keyfile = {folder}/good.pem",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = false",
            "ssl_cert_login_from = common_name",
            "auth_mechanisms.1 = PLAIN",
            "auth_mechanisms.2 = EXTERNAL",
            f"max_message_size = {LARGEST}",
        )
        super().__init__(folder, settings, "rabbitmq_auth_mechanism_ssl")

    def url(self, scheme: str = "amqp", port: int = 0, login: str = f"{USER}:p%2Fw%40%3Ad@") -> str:
        return super().url(scheme, port or (self.tls if scheme == "amqps" else self.port), login)

    def make(self, queue: str, arguments: Mapping[str, object] | None = None) -> str:
        with self.channel() as channel:
            channel.queue_declare(queue, durable=True, arguments=dict(arguments or {"x-queue-type": "quorum"}))
        return queue

    def put(self, queue: str, data: bytes, name: str = "", **properties: object) -> None:
        """Publish as a party does. Returns when the broker has it."""
        headers = {"Eport-Name": name} if name else {}
        with self.channel() as channel:
            channel.basic_publish(
                "", queue, data, pika.BasicProperties(delivery_mode=2, headers=headers, **properties), mandatory=True
            )

    def take(self, queue: str) -> list[tuple[pika.BasicProperties, bytes]]:
        """Everything that is ready in a queue, for good."""
        taken = []
        with self.channel() as channel:
            while True:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    return taken
                taken.append((properties, body))

    def count(self, queue: str) -> int:
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)


@contextmanager
def server(folder: Path) -> Iterator[Broker]:
    """A fresh broker; it ends with the block."""
    if not installed():
        why = "RabbitMQ (Debian: rabbitmq-server) is not here and cannot be installed"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with closing(Broker(folder)) as started:
        yield started


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    opened = Proxy(broker.port)
    yield opened
    opened.close()
