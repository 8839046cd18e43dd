"""A Slurm cluster of one node on loopback, all of it in one folder, taken down by process ids."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "scontrol")
WAIT = 30.0  # seconds for a daemon to answer

CONF = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=3600
NodeName={host} NodeAddr=127.0.0.1 CPUS={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE DefaultTime=10 State=UP
"""


def missing() -> list[str]:
    """The programs that this needs and that are not installed."""
    return [name for name in PROGRAMS if _which(name) is None]


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its folder, and how to call its programs."""

    folder: Path
    cpus: int

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
        return {**os.environ, "SLURM_CONF": f"{self.folder}/slurm.conf", "PATH": path}

    def call(self, *command: str) -> str:
        """What a program of Slurm prints; empty where it fails."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout if done.returncode == 0 else ""

    def jobs(self) -> dict[str, tuple[str, str, str]]:
        """Number -> (state, comment: the rule, CPUs) of every job there was."""
        listed = self.call("squeue", "-h", "-t", "all", "-o", "%i|%T|%k|%C")
        rows = [line.split("|") for line in listed.splitlines()]
        return {row[0]: (row[1], row[2], row[3]) for row in rows}


@contextmanager
def cluster(cpus: int = 2, memory: int = 20_000) -> Iterator[Cluster]:
    """Start munged, slurmctld and slurmd; stop them, and remove the folder, whatever happens.

    ``memory``: MiB that jobs may ask for together. One that takes more than it asked for is killed.
    """
    # munged refuses a socket in a folder that others may not enter, as pytest's are
    folder = Path(tempfile.mkdtemp(prefix="prunebench-slurm-"))
    folder.chmod(0o755)
    started: list[subprocess.Popen[bytes]] = []
    here = Cluster(folder, cpus)
    before = signal.signal(signal.SIGTERM, _stop)  # which would leave everything running
    try:
        _write(folder, cpus, memory)
        _start(here, started)
        yield here
    finally:
        here.call("scancel", "--full", "--user", str(os.getuid()))
        for daemon in reversed(started):
            daemon.terminate()
        for daemon in started:
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


def _stop(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def _write(folder: Path, cpus: int, memory: int) -> None:
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    text = CONF.format(
        host=socket.gethostname().partition(".")[0], user=_user(), folder=folder, cpus=cpus,
        memory=memory, ports=_free_ports(2),
    )  # fmt: skip
    (folder / "slurm.conf").write_text(text)
    # a job step starts without SLURM_*, so its inner srun would look for /etc/slurm/slurm.conf
    wrapper = folder / "bin" / "srun"
    wrapper.write_text(
        f'#!/bin/sh\nexport SLURM_CONF={folder}/slurm.conf\nexec {_which("srun")} "$@"\n'
    )
    wrapper.chmod(0o755)


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _free_ports(count: int) -> list[int]:
    taken = [socket.socket() for _ in range(count)]
    for each in taken:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def _start(here: Cluster, started: list[subprocess.Popen[bytes]]) -> None:
    folder, conf = here.folder, str(here.folder / "slurm.conf")

    def daemon(name: str, *options: str) -> None:
        with (folder / f"{name}.out").open("wb") as out:
            command = [str(_which(name)), *options]
            started.append(subprocess.Popen(command, env=here.environment, stdout=out, stderr=out))

    daemon(
        "munged", "--foreground", "--origin=127.0.0.1", f"--key-file={folder}/munge.key",
        f"--socket={folder}/munge.sock", f"--pid-file={folder}/munged.pid",
        f"--seed-file={folder}/munged.seed", f"--log-file={folder}/munged.log",
    )  # fmt: skip
    _await(lambda: here.call("munge", "-n", "-S", f"{folder}/munge.sock") != "", here, "munged")
    daemon("slurmctld", "-D", "-c", "-f", conf)
    _await(lambda: "UP" in here.call("scontrol", "ping"), here, "slurmctld")
    daemon("slurmd", "-D", "-c", "-f", conf)
    _await(lambda: "idle" in here.call("sinfo", "-h", "-o", "%T"), here, "slurmd")


def _await(ready: Callable[[], bool], here: Cluster, name: str) -> None:
    until = time.monotonic() + WAIT
    while not ready():
        if time.monotonic() > until:
            said = (here.folder / f"{name}.out").read_text(errors="replace")
            raise AssertionError(f"{name} does not answer after {WAIT:g} s: {said}")
        time.sleep(0.1)
