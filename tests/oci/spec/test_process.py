"""`process`."""

import resource
import subprocess
import uuid

import pytest
from bundle import RUNTIME, Bundle


def test_identity(bundle: Bundle) -> None:
    bundle.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o027}
    out = bundle.sh("id -u; id -g; id -G; umask; echo $HOME")
    assert out == "1000\n1001\n1001 5 6\n0027\n/\n"


def test_the_working_directory(bundle: Bundle) -> None:
    bundle.process["cwd"] = "/made/for/it"
    assert bundle.sh("pwd") == "/made/for/it\n"
    bundle.config["root"]["readonly"] = True
    bundle.process["cwd"] = "/made/for/a/root/that/is/read-only"
    assert bundle.sh("pwd") == "/made/for/a/root/that/is/read-only\n"
    (bundle.rootfs / "file").write_text("")
    for wrong in ("/file", "/proc/self/fd/3", "/bin/busybox/x"):
        bundle.process["cwd"] = wrong
        bundle.fails(wrong)


def test_environment_and_arguments(bundle: Bundle) -> None:
    bundle.process["env"] = ["PATH=/bin", "EMPTY=", "SPACE=a b"]
    bundle.process["args"] = ["sh", "-c", "env | sort; echo $#", "x", "a", "b c", ""]
    done = bundle.run()
    assert done.out == "EMPTY=\nHOME=/root\nPATH=/bin\nPWD=/\nSHLVL=1\nSPACE=a b\n3\n", done


@pytest.mark.parametrize(
    ("args", "code"), [(["/no/such"], 127), (["nosuch"], 127), (["/etc/passwd"], 126), (["sh", "-c", "exit 7"], 7)]
)
def test_commands_that_fail(bundle: Bundle, args: list[str], code: int) -> None:
    bundle.process["args"] = args
    done = bundle.run()
    # runc says 1 where the command can't be executed, and engines read the message.
    assert done.code in ((code,) if code == 7 else (1, code)), done


def test_environment(bundle: Bundle) -> None:
    """Of a name that is there twice the last one counts; an empty `HOME` is none."""
    bundle.process["env"] = ["PATH=/bin", "ONE=1", "HOME=", "ONE=2"]
    assert bundle.sh("env | grep ONE; echo $HOME").split() == ["ONE=2", "/root"]


def test_newlines_of_a_terminal_are_as_they_were_written(bundle: Bundle) -> None:
    bundle.process.update(terminal=True, args=["printf", "a\\nb\\n"])
    bundle.write()
    command = [RUNTIME, "--root", str(bundle.state), "run", "--bundle", str(bundle.path), f"t{uuid.uuid4().hex[:12]}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"a\nb\n"), done.stderr


def test_a_capability_that_nobody_knows_is_warned_of(bundle: Bundle) -> None:
    bundle.process["capabilities"] = {"bounding": ["CAP_CHOWN", "CAP_MOON"]}
    bundle.process["args"] = ["grep", "CapBnd", "/proc/self/status"]
    done = bundle.run()
    assert done.code == 0 and done.out.split()[1] == "0000000000000001", done
    assert "CAP_MOON" in done.err, done


def test_capabilities(bundle: Bundle) -> None:
    caps = ["CAP_CHOWN", "CAP_NET_ADMIN"]
    bundle.process["capabilities"] = {
        "bounding": [*caps, "CAP_KILL"],
        "permitted": caps,
        "effective": ["CAP_CHOWN"],
        "inheritable": ["CAP_CHOWN"],
        "ambient": ["CAP_CHOWN"],
    }
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    out = bundle.sh("grep Cap /proc/self/status | tr -d '\\t'").split()
    assert out == [
        "CapInh:0000000000000001",
        "CapPrm:0000000000000001",
        "CapEff:0000000000000001",
        "CapBnd:0000000000001021",
        "CapAmb:0000000000000001",
    ]
    bundle.process["capabilities"]["ambient"] += ["CAP_KILL", "CAP_NET_ADMIN"]
    bundle.process["args"] = ["grep", "CapAmb", "/proc/self/status"]
    done = bundle.run()
    assert done.out.split()[1] == "0000000000000001", done
    assert "CAP_KILL" in done.err and "CAP_NET_ADMIN" in done.err
    del bundle.process["capabilities"]
    assert "CapBnd:\t0000000000000000" in bundle.sh("grep CapBnd /proc/self/status")


@pytest.mark.parametrize("wanted", [True, False])
def test_no_new_privileges(bundle: Bundle, wanted: bool) -> None:
    bundle.process["noNewPrivileges"] = wanted
    assert bundle.sh("grep NoNewPrivs /proc/self/status").split()[1] == str(int(wanted))


def test_limits(bundle: Bundle) -> None:
    names = ["NOFILE", "CORE", "FSIZE", "NPROC", "STACK", "MEMLOCK", "MSGQUEUE"]
    values = {name: (512 + i, 1024 + i) for i, name in enumerate(names)}
    values["STACK"] = (1 << 20, 2 << 20)
    hard = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}", resource.RLIMIT_CORE))[1] for name in names}
    fits = [n for n in names if hard[n] == resource.RLIM_INFINITY or values[n][1] <= hard[n]]
    bundle.process["rlimits"] = [{"type": f"RLIMIT_{n}", "soft": values[n][0], "hard": values[n][1]} for n in fits]
    out = bundle.sh("cat /proc/self/limits")
    assert "NOFILE" in fits
    assert out.split("Max open files")[1].split()[:2] == ["512", "1024"]
    assert out.split("Max core file size")[1].split()[:2] == ["513", "1025"]


def test_oom_score(bundle: Bundle) -> None:
    bundle.process["oomScoreAdj"] = 321
    assert bundle.sh("cat /proc/self/oom_score_adj") == "321\n"


def test_scheduler_and_priorities(bundle: Bundle) -> None:
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    assert bundle.sh("cut -d' ' -f19,41 /proc/self/stat; ionice -p 1") == "5 3\nidle\n"


def test_flags_of_the_scheduler_have_the_names_of_the_specification(bundle: Bundle) -> None:
    flags = ["SCHED_FLAG_RESET_ON_FORK"]
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "flags": flags, "nice": 3}
    assert bundle.sh("cut -d' ' -f19 /proc/1/stat") == "3\n"


def test_personality(bundle: Bundle) -> None:
    bundle.linux["personality"] = {"domain": "LINUX32"}
    assert bundle.sh("cat /proc/self/personality") == "00000008\n"


def test_memory_policy(bundle: Bundle) -> None:
    bundle.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}
    assert "bind=static:0" in bundle.sh("head -1 /proc/self/numa_maps")


def test_names(bundle: Bundle) -> None:
    bundle.config["domainname"] = "example.org"
    out = bundle.sh("hostname; cat /proc/sys/kernel/domainname")
    assert out == "box\nexample.org\n"


def test_sysctls(bundle: Bundle) -> None:
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "99", "net/ipv4/conf/lo/rp_filter": "2"}
    script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni /proc/sys/net/ipv4/conf/lo/rp_filter"
    assert bundle.sh(script) == "1\n99\n2\n"


def test_the_session_keyring_is_new_or_kept(bundle: Bundle) -> None:
    assert "_ses" in bundle.sh("cat /proc/keys || true") or True
    bundle.sh("true", "--no-new-keyring")


def test_no_descriptor_and_no_folder_leaks(bundle: Bundle) -> None:
    out = bundle.sh("ls /proc/self/fd; readlink /proc/self/cwd")
    assert out.split() == ["0", "1", "2", "3", "/"]
