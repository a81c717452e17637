"""A Barman host of a test's own: its configuration, its home, its maintenance in a loop, and an sshd on a free loopback port.

with Sshd(directory) as sshd, BarmanHost(directory, sshd, conninfo=server.conninfo) as barman:
    barman.call("backup", "--wait", "main")

Barman works as the user ``barman``, the server as ``postgres``: each reaches the other by ssh with a key made for the test. No file of
anybody's home is read or written: what runs ``ssh`` finds a program of that name first in its PATH that brings its own options.
"""

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Final, Self

import psutil

from hacore.errors import HacoreError
from hacore.testing.ports import Ports
from hacore.testing.servers import locate
from hacore.testing.workdir import SERVER_USER, give_away

BARMAN_USER: Final = "barman"
SERVER: Final = "main"  # what the server is called in Barman's configuration
HOST: Final = "127.0.0.1"
_READY_S: Final = 30.0
_COMMAND_S: Final = 120.0
_PAUSE_S: Final = 0.5
_SSHD_CONFIG: Final = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host_key
PidFile none
AuthorizedKeysFile {place}/authorized
StrictModes no
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
MaxStartups 100
LogLevel ERROR
SetEnv TMPDIR={place}/scratch
"""
_SSH: Final = """\
#!/bin/sh
exec /usr/bin/ssh -F none -i {key} -o IdentitiesOnly=yes -o UserKnownHostsFile={place}/known_hosts -o GlobalKnownHostsFile=/dev/null \\
    -o StrictHostKeyChecking=yes -o BatchMode=yes -o ConnectTimeout=5 -o LogLevel=ERROR -o Port={port} "$@"
"""
_BARMAN_CONFIG: Final = """\
[barman]
barman_user = {user}
barman_home = {place}/home
log_file = {place}/barman.log
path_prefix = {programs}
immediate_checkpoint = true

[main]
description = of a test
conninfo = {conninfo} connect_timeout=5
backup_options = concurrent_backup
retention_policy = REDUNDANCY 100
archiver = on
"""
_RSYNC: Final = "backup_method = rsync\nreuse_backup = link\nssh_command = {ssh}/ssh {node}@127.0.0.1 -q\n"
_STREAMING: Final = """\
backup_method = postgres
streaming_conninfo = {conninfo}
streaming_archiver = on
slot_name = barman
create_slot = auto
"""


def barman_user() -> str | None:
    """The user as whom Barman works: another one than PostgreSQL's. ``None``: as ourselves."""
    return BARMAN_USER if os.geteuid() == 0 else None


def myself() -> str:
    """The user who runs this process."""
    return psutil.Process().username()


class Sshd:
    """An sshd with a host key of its own that lets in whoever has the key of the test, while its block lasts."""

    def __init__(self, directory: Path) -> None:
        self._place = directory / "sshd"
        self.scratch = self._place / "scratch"  # for what those who are let in leave when they are killed
        self._ports = Ports()
        self.port = self._ports.take()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ssh_directory(self, user: str | None) -> Path:
        """The directory of the ``ssh`` that this user has to find first."""
        return self._place / (user or myself())

    def start(self) -> None:
        """Start it, and wait until it lets us in."""
        program = locate("sshd").program("sshd")
        with (self._place / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(program), "-D", "-e", "-f", str(self._place / "sshd_config")], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until = time.monotonic() + _READY_S
        probe = [str(self.ssh_directory(barman_user()) / "ssh"), f"{barman_user() or myself()}@{HOST}", "true"]
        while subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_READY_S).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > until:
                raise HacoreError(f"sshd: not ready within {_READY_S:.0f} s, see {self._place / 'sshd.log'}")
            time.sleep(_PAUSE_S / 20)

    def stop(self) -> None:
        """End it with everybody who is connected: its host is away."""
        if self._process is not None:
            connected = psutil.Process(self._process.pid).children(recursive=True)
            for one in [psutil.Process(self._process.pid), *connected]:
                try:
                    one.kill()
                except psutil.NoSuchProcess:  # it has just ended
                    continue
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._ports.close()

    def _prepare(self) -> None:
        self._place.mkdir(mode=0o755)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd confines the part that faces the network
        _keygen(self._place / "host_key")
        host_key = (self._place / "host_key.pub").read_text()
        (self._place / "known_hosts").write_text(f"[{HOST}]:{self.port} {host_key}")
        self.scratch.mkdir()
        self.scratch.chmod(0o1777)
        (self._place / "sshd_config").write_text(_SSHD_CONFIG.format(port=self.port, place=self._place))
        keys = []
        for user in (SERVER_USER, BARMAN_USER) if os.geteuid() == 0 else (myself(),):
            directory = self._place / user
            directory.mkdir(mode=0o755)
            key = directory / "key"
            _keygen(key)
            keys.append(key.with_suffix(".pub").read_text())
            if os.geteuid() == 0:
                give_away(key, user)
            (directory / "ssh").write_text(_SSH.format(key=key, place=self._place, port=self.port))
            (directory / "ssh").chmod(0o755)
        (self._place / "authorized").write_text("".join(keys))


class BarmanHost:
    """Barman with one server, ``main``, whose WAL it files away in a loop while the block lasts.

    :param conninfo: how Barman reaches the server as a superuser; counts when the block is entered.
    :param streaming: it copies by the server's protocol and receives WAL by a slot; else it copies by rsync over ssh.
    :param programs: directory of PostgreSQL's programs.
    """

    def __init__(self, directory: Path, sshd: Sshd, *, conninfo: str, streaming: bool = False, programs: Path | None = None) -> None:
        self.directory, self.sshd = directory / "barman", sshd
        self.config = self.directory / "barman.conf"
        self.conninfo, self._streaming = conninfo, streaming
        self._programs = programs or locate("postgresql").directory
        self._may_work = threading.Lock()  # held while the maintenance must not run
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._maintain, name="barman-cron", daemon=True)

    def __enter__(self) -> Self:
        self.directory.mkdir(mode=0o755)
        self.home.mkdir(mode=0o700)
        node = SERVER_USER if os.geteuid() == 0 else myself()
        method = _STREAMING if self._streaming else _RSYNC
        text = _BARMAN_CONFIG + method
        self.config.write_text(
            text.format(
                user=barman_user() or myself(),
                node=node,
                place=self.directory,
                programs=self._programs,
                conninfo=self.conninfo,
                ssh=self.sshd.ssh_directory(barman_user()),
            )
        )
        for path in (self.directory, self.home):
            if os.geteuid() == 0:
                give_away(path, BARMAN_USER)
        self.call("check", SERVER, check=False)  # makes its directories, whatever it finds
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._streaming:
            self.call("receive-wal", "--stop", SERVER, check=False)
        _end_receivers(self.config)

    @property
    def home(self) -> Path:
        """Where everything lies that Barman keeps."""
        return self.directory / "home"

    @property
    def server_directory(self) -> Path:
        """Where everything lies that it keeps of the server."""
        return self.home / SERVER

    def section(self, **more: object) -> dict[str, object]:
        """Return the section of the configuration by which a node reaches it."""
        node = SERVER_USER if os.geteuid() == 0 else myself()
        return {
            "server": SERVER,
            "host": HOST,
            "user": barman_user() or myself(),
            "port": self.sshd.port,
            "config": str(self.config),
            "ssh_dir": str(self.sshd.ssh_directory(node)),
            "recover_ssh_command": f"{self.sshd.ssh_directory(barman_user())}/ssh {node}@{HOST}",
            "backup_directory": str(self.server_directory),
            **more,
        }

    def call(self, *words: str, check: bool = True) -> str:
        """Run a command of Barman's, and return what it said.

        :raises HacoreError: it failed.
        """
        user, home, scratch = barman_user(), str(self.directory), str(self.sshd.scratch)
        done = subprocess.run(
            [str(locate("barman").program("barman")), "-c", str(self.config), *words],
            cwd=home, user=user, group=user, env={"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": scratch, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_COMMAND_S, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise HacoreError(f"barman {words[0]} ended with {done.returncode}: {done.stdout}")
        return done.stdout

    def pause(self) -> None:
        """Let no maintenance run."""
        self._may_work.acquire()

    def resume(self) -> None:
        """Let it run again."""
        self._may_work.release()

    def spoil(self) -> None:
        """Take its home away, as a disk that is not mounted; no maintenance runs meanwhile."""
        self.pause()
        self.home.rename(f"{self.home}.away")

    def mend(self) -> None:
        """Bring it back."""
        Path(f"{self.home}.away").rename(self.home)
        self.resume()

    def _maintain(self) -> None:
        incoming = self.server_directory / "incoming"
        while not self._ended.wait(_PAUSE_S):
            with self._may_work:
                # Each round costs a core most of a second: none where there is nothing to file and no receiver to start.
                if self._streaming or (incoming.is_dir() and any(incoming.iterdir())):
                    self.call("cron", check=False)


def _keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True, stdin=subprocess.DEVNULL)


def _end_receivers(config: Path) -> None:
    """End what the maintenance has started and left running: all of it names our configuration."""
    for process in psutil.process_iter(["cmdline"]):
        if str(config) in (process.info["cmdline"] or []):
            for one in (*process.children(recursive=True), process):
                one.kill()
