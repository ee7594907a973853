"""A SLURM of one node, of Debian's packages, with everything it writes in a folder of its own.

The node is said to have what a task of `docs/how-to/predict.sbatch` asks for, whatever this machine has.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "munged")
CONFIG = """
ClusterName=medsegtest
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=30
MinJobAge=600
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=20000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there can be no SLURM here; None where there can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "SLURM's daemons are started by root"
    absent = [name for name in PROGRAMS if _program(name) is None]
    return f"needs {', '.join(absent)} (slurm-wlm, munge)" if absent else None


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def _ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Run the daemons; gives the environment in which sbatch and the others find them."""
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    config = folder / "slurm.conf"
    host = socket.gethostname().split(".")[0]
    config.write_text(CONFIG.format(folder=folder, host=host, ports=_ports(2)))
    environment = {**os.environ, "SLURM_CONF": str(config)}
    place = {name: f"{folder}/munge.{name}" for name in ("socket", "pid", "seed", "log")}
    munged = [str(_program("munged")), "--foreground", "--force", "--num-threads=2", f"--key-file={key}"]
    munged += [f"--socket={place['socket']}", f"--pid-file={place['pid']}", f"--seed-file={place['seed']}"]
    munged += [f"--log-file={place['log']}"]
    with ExitStack() as stack:
        for command in (munged, [str(_program("slurmctld")), "-D", "-c"], [str(_program("slurmd")), "-D", "-c"]):
            log = stack.enter_context((folder / f"{Path(command[0]).name}.out").open("w"))
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            stack.callback(_end, process)
            time.sleep(1)
            if process.poll() is not None:
                raise RuntimeError(
                    f"{command[0]} ended: {(folder / f'{Path(command[0]).name}.out').read_text()[-2000:]}"
                )
        _wait_for_idle(environment)
        yield environment


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for_idle(environment: dict[str, str]) -> None:
    for _ in range(60):
        done = subprocess.run(["sinfo", "-h", "-o", "%t"], env=environment, capture_output=True, text=True, check=False)
        if done.stdout.strip() == "idle":
            return
        time.sleep(1)
    raise RuntimeError(f"the node does not become idle: {done.stdout} {done.stderr}")


def wait_for_jobs(environment: dict[str, str], seconds: float) -> None:
    """Wait until no job is queued or runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done = subprocess.run(["squeue", "-h"], env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0 and not done.stdout.strip():
            return
        time.sleep(1)
    raise RuntimeError(f"jobs are left: {done.stdout}")
