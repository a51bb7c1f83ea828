"""A private OpenSSH server on a loopback port, run as the current user. No system service is touched.

Its program is Debian's package openssh-server. Root with a network installs that; elsewhere, if it is missing, the
tests are skipped by name. With CI=true they fail.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import pytest

from adapters import sftp
from hub.contract import Ground
from tests.adapters.network import until

SSHD = "/usr/sbin/sshd"

# As root sshd wants its folder /run/sshd. Where it is missing, a mount namespace shows one to sshd alone.
PRIVATE_RUN = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"', "sh"]


def installed(program: str, package: str) -> str | None:
    """Where a program is; root with a network installs the Debian package first, without starting anything."""
    search = f"{os.environ['PATH']}:/usr/sbin"
    if shutil.which(program, path=search) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        words = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends"]
        with suppress(subprocess.SubprocessError):
            for step in (["apt-get", "-qq", "update"], [*words, package]):
                subprocess.run(step, env=quiet, capture_output=True, check=True, timeout=200)
    return shutil.which(program, path=search)


def needed(program: str, package: str) -> str:
    """The program, or the test is skipped; with CI=true it fails."""
    found = installed(program, package)
    if found is None:
        why = f"{program} (Debian: {package}) is not here and cannot be installed"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return found


@lru_cache(maxsize=1)
def launcher() -> list[str] | None:
    """What to put before sshd's command line; None when sshd cannot be started here."""
    if installed("sshd", "openssh-server") is None:
        return None
    if os.geteuid() != 0 or os.path.isdir("/run/sshd"):
        return []
    if shutil.which("unshare") and subprocess.run([*PRIVATE_RUN, "true"], check=False).returncode == 0:
        return PRIVATE_RUN
    return None


def key_pair(path: Path) -> str:
    """Write an Ed25519 private key; return the public key line."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption()))
    path.chmod(0o600)
    return key.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH).decode()


def rsa_pair(path: Path) -> str:
    """The same with RSA."""
    import paramiko

    key = paramiko.RSAKey.generate(2048)
    key.write_private_key_file(str(path))
    return f"ssh-rsa {key.get_base64()}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sshd:
    """`more` goes into its configuration, before what stands there anyway: sshd takes the first of two."""

    def __init__(self, folder: Path, more: str = "") -> None:
        if launcher() is None:
            why = "OpenSSH's sshd cannot be started here"
            pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
        self.folder = folder
        self.port = free_port()
        self.ground = Ground(folder, folder)
        self.put, self.get, self.done = (folder / name for name in ("put", "get", "done"))
        for path in (self.put, self.get, self.done):
            path.mkdir(exist_ok=True)
        self.host_key = key_pair(folder / "host")
        (folder / "authorized").write_text(f"{key_pair(folder / 'own')}\n{rsa_pair(folder / 'rsa')}\n")
        key_pair(folder / "stranger")
        self.configure(more)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def configure(self, more: str) -> None:
        (self.folder / "config").write_text(
            f"{more}\nPort {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            f"PasswordAuthentication no\nSubsystem sftp internal-sftp\n"
        )

    def start(self) -> None:
        log = self.folder / "log"
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [*(launcher() or []), SSHD, "-D", "-e", "-f", str(self.folder / "config")],
                stderr=file,
                start_new_session=True,
            )
        until(self._listens)

    def _listens(self) -> bool:
        assert self.process is not None and self.process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
        self.process = None

    def kill(self) -> None:
        """SIGKILL for the server and every session of it. May be called from any thread."""
        if self.process is not None:
            for pid in _family(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(10)
        self.process = None

    def options(self, **changes: object) -> sftp.Options:
        settings: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "key": "file:own",
            "host_keys": [self.host_key],
            "put": str(self.put),
            "get": str(self.get),
            "done": str(self.done),
            "stable": 0.2,
            "timeout": 10,
        }
        return sftp.Options.model_validate(settings | changes)


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(one for child in children for one in _family(int(child)))]
