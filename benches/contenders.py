"""Who takes part in compare.py: how each is found, prepared, run and put away."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent
IMAGE = "bench:true"


Command = list[str | Path | int]


class Missing(Exception):
    """A contender that can't take part here, and why."""


@dataclass
class Contender:
    """One line of the table."""

    name: str
    what: str  # how much of the work it does
    command: Command  # with {runs}; prints one JSON line with `samples`
    share: float = 1.0  # of the runs of a round: slow ones get fewer
    realtime: bool = True  # may have real-time priority: cpu cgroups refuse such processes


def run(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Runs a command that must succeed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        raise Missing(f"{command[0]}: {done.stderr.strip()[-300:] or done.returncode}")
    return done.stdout


def tool(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    if not found:
        raise Missing("not installed")
    return found


class Bench:
    """The folder of one comparison: programs, a root file system, a root of ours, bundles."""

    def __init__(self, work: str, target: str | Path) -> None:
        self.work, self.target = Path(work), Path(target)
        self.out, self.rootfs, self.root = self.work / "out", self.work / "rootfs", self.work / "root"
        self.stack = contextlib.ExitStack()
        run(["make", "-s", "-C", HERE, f"OUT={self.out}"])
        for folder in ("proc", "sys", "dev", "tmp", "etc", "root"):
            (self.rootfs / folder).mkdir(parents=True)
        for name in ("hosts", "hostname", "resolv.conf"):
            (self.rootfs / "etc" / name).touch()
        shutil.copy(self.out / "true", self.rootfs / "true")
        self.tar = self.work / "rootfs.tar"
        run(["tar", "-C", self.rootfs, "--owner=0", "--group=0", "-cf", self.tar, "."])
        self.imported = False

    def own_root(self) -> Path:
        """A root of ours that has the image."""
        driver = self.target / "containers-bench"
        if not driver.exists():
            raise Missing("not built: cargo build --release -p containers-bench")
        if not self.imported:
            run([driver, self.root, "--import", self.tar, IMAGE])
            self.imported = True
        return driver

    def ours(self, program: list[str | Path], name: str) -> Contender:
        self.own_root()
        what = "all isolation by default, memory limit, output collected"
        return Contender(name, what, [*program, self.root, IMAGE, "/true", "{runs}", 0])

    def each(
        self, name: str, what: str, command: Sequence[str | Path | int], share: float, wrap: Sequence[str] = ()
    ) -> Contender:
        return Contender(
            name, what, [*wrap, self.out / "each", name, "{runs}", 2, *command], share, name == "bubblewrap"
        )

    def bundle(self, runtime: str, limits: bool) -> Path:
        """An OCI bundle with the default profile of `runtime spec`."""
        folder = self.work / f"bundle-{Path(runtime).name}"
        folder.mkdir()
        run([runtime, "spec"], cwd=folder)
        spec = json.loads((folder / "config.json").read_text())
        spec["process"].update(terminal=False, args=["/true"], cwd="/")
        spec["root"] = {"path": str(self.rootfs), "readonly": True}
        spec["linux"]["resources"] = {"memory": {"limit": 256 << 20}} if limits else {}
        (folder / "config.json").write_text(json.dumps(spec))
        return folder


def floor(b: Bench) -> Contender:
    return Contender(
        "floor",
        "namespaces, mounts, pivot_root, exec, wait; nothing else",
        [b.out / "floor", "--runs", "{runs}", "--json"],
    )


def reference(b: Bench) -> Contender:
    return Contender("reference", "our defaults without a library", [b.out / "reference", "--runs", "{runs}", "--json"])


def reference_two(b: Bench) -> Contender:
    command: Command = [b.out / "reference", "--runs", "{runs}", "--json", "--lanes", 2]
    return Contender("reference, 2 launchers", "the same, cleaning up on the other core", command)


def rust(b: Bench) -> Contender:
    return b.ours([b.own_root()], "ours, Rust")


def c(b: Bench) -> Contender:
    library = b.target / "libcontainers.so"
    if not library.exists():
        raise Missing("not built: cargo build --release -p containers-c")
    program = b.out / "run-c"
    run(
        [
            "cc",
            "-O2",
            "-o",
            program,
            HERE / "drivers/run.c",
            f"-I{REPO / 'include'}",
            library,
            f"-Wl,-rpath,{library.parent}",
        ]
    )
    return b.ours([program], "ours, C")


def python(b: Bench) -> Contender:
    own = Path(os.environ.get("CONTAINERS_PYTHON", REPO / ".venv/bin/python"))
    program = own if own.exists() else Path(sys.executable)
    if subprocess.run([program, "-c", "import containers"], capture_output=True).returncode:
        raise Missing("the Python package is not installed: make build")
    return b.ours([program, HERE / "drivers/run.py"], "ours, Python")


def node(b: Bench) -> Contender:
    package = Path(os.environ.get("CONTAINERS_NODE", REPO / "bindings-node"))
    if not list(package.glob("*.node")):
        raise Missing("the Node package is not built: make build")
    return b.ours([tool("node"), HERE / "drivers/run.mjs"], "ours, Node")


def bubblewrap(b: Bench) -> Contender:
    command: Command = [
        tool("bwrap"),
        "--unshare-all",
        "--ro-bind",
        b.rootfs,
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--cap-drop",
        "ALL",
        "/true",
    ]
    return b.each("bubblewrap", "namespaces and mounts; no limits, no filter, no masks", command, 0.5)


V2_VIEW = [
    "unshare",
    "-m",
    "--propagation",
    "private",
    "sh",
    "-c",
    'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"',
    "_",
]


def oci(b: Bench, program: str, share: float, wrap: Sequence[str] = (), limits: bool = True) -> Contender:
    name = Path(program).name
    root = b.work / f"state-{name}"
    command: Command = [program, "--root", root, "run", "--bundle", b.bundle(program, limits), name + "-bench-{}"]
    limited = "memory limit" if limits else "no limits"
    return b.each(name, f"bundle of `{name} spec`, no overlay; {limited}", command, share, wrap)


def crun(b: Bench) -> Contender:
    program = tool("crun")
    if Path("/sys/fs/cgroup/unified").exists():  # it refuses hybrid cgroups
        contender = oci(b, program, 0.4, V2_VIEW, limits=False)
        contender.realtime = True  # no cpu cgroup in that view
        return contender
    return oci(b, program, 0.4)


def runc(b: Bench) -> Contender:
    return oci(b, tool("runc"), 0.15)


def youki(b: Bench) -> Contender:
    return oci(b, tool("youki"), 0.15)


def docker(b: Bench) -> Contender:
    """docker with a daemon of its own, no bridge."""
    client, daemon = tool("docker"), tool("dockerd")
    folder = b.work / "docker"
    folder.mkdir()
    host = f"unix://{folder}/sock"
    log = open(folder / "log", "wb")
    process = subprocess.Popen(
        [
            daemon,
            "--data-root",
            folder / "data",
            "--exec-root",
            folder / "exec",
            "--pidfile",
            folder / "pid",
            "-H",
            host,
            "--bridge=none",
            "--iptables=false",
        ],
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    b.stack.callback(stop, process)
    for _ in range(100):
        if subprocess.run([client, "-H", host, "version"], capture_output=True).returncode == 0:
            break
        if process.poll() is not None:
            raise Missing("its daemon does not start: " + (folder / "log").read_text()[-200:].strip())
        time.sleep(0.2)
    else:
        raise Missing("its daemon does not answer")
    run([client, "-H", host, "import", b.tar, "bench"])
    command = [client, "-H", host, "run", "--rm", "--network", "none", "-m", "256m", "bench", "/true"]
    return b.each("docker run", "its defaults, network none, memory limit", command, 0.04)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a daemon that we started."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


ALL: dict[str, Callable[[Bench], Contender]] = {
    "floor": floor,
    "reference": reference,
    "reference2": reference_two,
    "rust": rust,
    "c": c,
    "python": python,
    "node": node,
    "bubblewrap": bubblewrap,
    "crun": crun,
    "youki": youki,
    "runc": runc,
    "docker": docker,
}
