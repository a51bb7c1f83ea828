"""A private RabbitMQ: its own node name, cookie, epmd, data and ports on 127.0.0.1. No system service is touched.

Started once per test process (with pytest-xdist: once per worker that needs it), by Debian's package rabbitmq-server.
Root with a network installs that; elsewhere, if it is missing, the tests are skipped by name. With CI=true they fail.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import socket
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
from pika.adapters.blocking_connection import BlockingChannel

from tests.adapters.network import Proxy, until

SCRIPTS = Path("/usr/lib/rabbitmq/bin")
USER, PASSWORD = "hub", "p/w@:d"
LARGEST = 6_000_000
#: Before a command: it dies with this process, even if that is killed.
WITH_US = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def free_ports(count: int) -> list[int]:
    """Below those that the kernel gives to connections: a port is to be had again when its node comes back."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(12_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found += [port] if port not in found else []
    return found


def installed() -> bool:
    """True when the package is there, or can be had: by root, over the network, without starting the service."""
    if not (SCRIPTS / "rabbitmq-server").exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        words = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends"]
        with suppress(subprocess.SubprocessError):
            for step in (["apt-get", "-qq", "update"], [*words, "rabbitmq-server"]):
                subprocess.run(step, env=quiet, capture_output=True, check=True, timeout=200)
    return (SCRIPTS / "rabbitmq-server").exists() and shutil.which("epmd") is not None


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


class Broker:
    """One node. `kill` is a power cut of the broker alone; `start` brings it back with what it had written.

    RabbitMQ (3.10.8 here) writes down within three minutes only which quorum queues it has (a dets table with its
    default auto_save): one that is younger when the node is killed comes back without leader and messages, confirmed
    ones too. `kill` is for queues that are older, so `grow_old` has to be called before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.tls, dist, epmd = free_ports(4)
        self._node = f"eport-{os.getpid()}@localhost"
        (folder / ".erlang.cookie").write_text(secrets.token_hex(16))
        (folder / ".erlang.cookie").chmod(0o400)
        (folder / "enabled_plugins").write_text("[rabbitmq_auth_mechanism_ssl].\n")
        certify(folder, "good")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"listeners.ssl.1 = 127.0.0.1:{self.tls}\n"
            f"ssl_options.cacertfile = {folder}/good.ca.pem\n"
            f"ssl_options.certfile = {folder}/good.pem\n"
            f"ssl_options.keyfile = {folder}/good.pem\n"
            "ssl_options.verify = verify_peer\n"
            "ssl_options.fail_if_no_peer_cert = false\n"
            "ssl_cert_login_from = common_name\n"
            "auth_mechanisms.1 = PLAIN\n"
            "auth_mechanisms.2 = EXTERNAL\n"
            f"default_user = {USER}\n"
            f"default_pass = {PASSWORD}\n"
            f"max_message_size = {LARGEST}\n"
            "disk_free_limit.absolute = 1MB\n"
            "raft.wal_max_size_bytes = 16000000\n"
        )
        self._env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": "/dev/null",
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2 +sbwt none",
        }
        self._epmd = subprocess.Popen([*WITH_US, "epmd", "-port", str(epmd), "-address", "127.0.0.1"], env=self._env)
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        with (self.folder / "out").open("ab") as log:
            self._server = subprocess.Popen(
                [*WITH_US, SCRIPTS / "rabbitmq-server"],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._takes_us, 100)

    def _takes_us(self) -> bool:
        assert self._server is not None and self._server.poll() is None, (self.folder / "out").read_text()
        try:
            with self.channel():
                return True
        except pika.exceptions.AMQPError:
            return False

    def grow_old(self) -> None:
        """Have everything written that the node writes down now and then."""
        self.ctl("eval", "[ok = dets:sync(Table) || Table <- dets:all()].")

    def kill(self) -> None:
        """SIGKILL for the node. May be called from any thread."""
        if self._server is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait(10)

    def close(self) -> None:
        self.kill()
        self._epmd.terminate()
        self._epmd.wait(10)

    def ctl(self, *words: str) -> str:
        done = subprocess.run(
            [SCRIPTS / "rabbitmqctl", "-q", "-n", self._node, *words],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """The node has too little memory, as it thinks."""
        self.ctl("set_vm_memory_high_watermark", "0.000001")
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", "0.4")

    # ---- as a party

    def url(self, scheme: str = "amqp", port: int = 0, login: str = f"{USER}:p%2Fw%40%3Ad@") -> str:
        return f"{scheme}://{login}127.0.0.1:{port or (self.tls if scheme == 'amqps' else self.port)}/"

    @contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        """A party's own connection, in confirm mode."""
        login = pika.PlainCredentials(USER, PASSWORD)
        with closing(
            pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port, credentials=login))
        ) as c:
            channel = c.channel()
            channel.confirm_delivery()
            yield channel

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


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker of this test process."""
    if not installed():
        why = "RabbitMQ (Debian: rabbitmq-server) is not here and cannot be installed"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    started = Broker(tmp_path_factory.mktemp("rabbitmq"))
    yield started
    started.close()


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    opened = Proxy(broker.port)
    yield opened
    opened.close()
