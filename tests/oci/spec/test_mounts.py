"""`mounts`, `root`, `linux.rootfsPropagation`, `linux.maskedPaths`, `linux.readonlyPaths`."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle import Bundle


def line_of(out: str, target: str) -> str:
    """The line of mountinfo for a mount point: its options, optional fields, type and superblock options."""
    for line in out.splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[4] == target:
            return " ".join(fields[5:])
    return ""


def mountinfo(bundle: Bundle, target: str) -> str:
    return line_of(bundle.sh("cat /proc/self/mountinfo"), target)


@pytest.mark.parametrize(
    ("option", "shown"),
    [
        ("ro", "ro"),
        ("nosuid", "nosuid"),
        ("nodev", "nodev"),
        ("noexec", "noexec"),
        ("noatime", "noatime"),
        ("nodiratime", "nodiratime"),
        ("nosymfollow", "nosymfollow"),
        ("relatime", "relatime"),
    ],
)
def test_attributes(bundle: Bundle, option: str, shown: str) -> None:
    bundle.mount("/plain", "tmpfs", options=[option])
    bundle.mount("/deep", "bind", bundle.path, options=["rbind", f"r{option}"])
    out = bundle.sh("cat /proc/self/mountinfo")
    assert shown in line_of(out, "/plain").split()[0].split(",")
    assert shown in line_of(out, "/deep").split()[0].split(",")


def test_recursive_attributes_reach_mounts_below(bundle: Bundle) -> None:
    source = bundle.path / "source"
    (source / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source / "below"], check=True)
    try:
        bundle.mount("/shallow", "bind", source, options=["rbind", "ro"])
        bundle.mount("/deep", "bind", source, options=["rbind", "rro", "rnosuid"])
        out = bundle.sh("cat /proc/self/mountinfo")
    finally:
        subprocess.run(["umount", source / "below"], check=True)
    assert line_of(out, "/shallow").startswith("ro") and line_of(out, "/shallow/below").startswith("rw")
    assert line_of(out, "/deep/below").startswith("ro,nosuid")


@pytest.mark.parametrize("form", ["", "r"])
@pytest.mark.parametrize(("name", "shown"), [("private", None), ("shared", "shared:"), ("unbindable", "unbindable")])
def test_propagation(bundle: Bundle, form: str, name: str, shown: str | None) -> None:
    bundle.mount("/data", "bind", bundle.rootfs, options=["rbind", form + name])
    line = mountinfo(bundle, "/data")
    assert shown in line if shown else "shared:" not in line and "master:" not in line


@pytest.mark.parametrize("propagation", ["shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable"])
def test_root_propagation(bundle: Bundle, propagation: str) -> None:
    bundle.linux["rootfsPropagation"] = propagation
    line = mountinfo(bundle, "/")
    assert ("shared:" in line) == ("shared" in propagation)
    assert ("unbindable" in line) == ("unbindable" in propagation)
    out = subprocess.run(["findmnt", "-n", bundle.rootfs], capture_output=True, text=True).stdout
    assert out == "", "nothing of it is seen outside"


def test_file_systems(bundle: Bundle) -> None:
    bundle.mount("/sys", "sysfs", options=["ro", "nosuid"])
    bundle.mount("/dev/mqueue", "mqueue")
    bundle.mount("/ram", "ramfs")
    out = bundle.sh("cat /proc/self/mountinfo; touch /sys/x 2>&1 || true")
    assert " - sysfs " in line_of(out, "/sys") and " - mqueue " in line_of(out, "/dev/mqueue")
    assert " - devpts " in line_of(out, "/dev/pts") and "size=65536k" in line_of(out, "/dev")
    assert " - ramfs " in line_of(out, "/ram")


def test_cgroup(bundle: Bundle) -> None:
    bundle.mount("/sys", "sysfs", options=["ro"])
    bundle.mount("/sys/fs/cgroup", "cgroup", options=["nosuid", "noexec", "nodev", "relatime", "ro"])
    out = bundle.sh("ls -A /sys/fs/cgroup; cat /proc/self/mountinfo; mkdir /sys/fs/cgroup/x 2>&1 || true")
    lines = [line.split() for line in out.splitlines() if " /sys/fs/cgroup" in line and " - cgroup" in line]
    assert lines and all(fields[3] == "/" for fields in lines), "only its own part is there"
    assert all("ro" in fields[5].split(",") for fields in lines)
    assert "Read-only" in out


def test_copy_up(bundle: Bundle) -> None:
    (bundle.rootfs / "full/sub").mkdir(parents=True)
    (bundle.rootfs / "full/sub/file").write_text("kept\n")
    os.chown(bundle.rootfs / "full/sub/file", 5, 6)
    (bundle.rootfs / "full/sub/file").chmod(0o4755)
    bundle.mount("/full", "tmpfs", options=["tmpcopyup"])
    assert bundle.sh("cat /full/sub/file; stat -c %a:%u:%g /full/sub/file; rm /full/sub/file") == "kept\n4755:5:6\n"
    assert (bundle.rootfs / "full/sub/file").exists()


def test_binds_of_files_and_relative_sources(bundle: Bundle) -> None:
    (bundle.path / "file").write_text("text")
    bundle.mount("/made/on/the/way", "bind", "file", options=["bind", "ro"])
    assert bundle.sh("cat /made/on/the/way; echo x 2>/dev/null >/made/on/the/way || echo closed") == "textclosed\n"


def test_id_mapped_mounts(bundle: Bundle) -> None:
    source = bundle.path / "source"
    source.mkdir()
    maps = [{"containerID": 0, "hostID": 7000, "size": 100}]
    bundle.mount("/mapped", "bind", source, options=["bind"], uidMappings=maps, gidMappings=maps)
    assert bundle.sh("stat -c %u:%g /mapped") == "7000:7000\n"


def test_mounts_come_in_order(bundle: Bundle) -> None:
    bundle.mount("/a", "tmpfs")
    bundle.mount("/a/b", "tmpfs", options=["ro"])
    bundle.mount("/a/b", "tmpfs", options=["size=4k"])
    assert "size=4k" in bundle.sh("tail -1 /proc/self/mountinfo")


def test_read_only_root(bundle: Bundle) -> None:
    bundle.config["root"]["readonly"] = True
    assert "Read-only" in bundle.sh("touch /x 2>&1 || true")


def test_no_pivot(bundle: Bundle) -> None:
    assert bundle.sh("ls /proc/1/root/etc", "--no-pivot") == "group\npasswd\n"


def test_masked_and_read_only_paths(bundle: Bundle) -> None:
    (bundle.rootfs / "secret").write_text("s")
    (bundle.rootfs / "secrets").mkdir()
    (bundle.rootfs / "secrets/one").write_text("s")
    bundle.linux["maskedPaths"] = ["/secret", "/secrets", "/proc/kcore", "/no/such"]
    bundle.linux["readonlyPaths"] = ["/proc/sys", "/etc", "/no/such"]
    script = "cat /secret; ls -A /secrets; for f in /etc /secrets; do touch $f/x 2>&1; done; true"
    out = bundle.sh(script)
    assert out.count("\n") == out.count("Read-only") == 2, out


def test_masked_links_are_errors(bundle: Bundle) -> None:
    bundle.linux["maskedPaths"] = ["/proc/self"]
    bundle.fails("/proc/self")


def test_links_of_the_image_lead_nowhere_else(bundle: Bundle) -> None:
    outside = bundle.path / "outside"
    outside.mkdir()
    for name, target in [("proc", "etc"), ("dev", str(outside)), ("sys", "/")]:
        at = bundle.rootfs / name
        at.rmdir()
        at.symlink_to(target)
        bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] == "/proc"]
        if name == "sys":
            bundle.mount("/sys", "sysfs")
        bundle.fails()
        at.unlink()
        at.mkdir()
    (bundle.rootfs / "escape").symlink_to(outside)
    bundle.config["mounts"].append({"destination": "/dev", "type": "tmpfs", "source": "tmpfs"})
    bundle.mount("/escape/new", "tmpfs")
    bundle.sh("true")
    assert list(outside.iterdir()) == []


def test_bad_sources_are_named(bundle: Bundle) -> None:
    bundle.mount("/x", "bind", "/no/such/source", options=["bind"])
    bundle.fails("/no/such/source")
    bundle.config["mounts"].pop()
    bundle.mount("/x", "tmpfs", options=["colour=red"])
    bundle.fails("/x", "colour")
    bundle.config["mounts"].pop()
    bundle.mount("/x", "nosuchfs")
    bundle.fails("nosuchfs")


def test_devices(bundle: Bundle) -> None:
    bundle.linux["devices"] = [
        {"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"path": "/dev/deep/fifo", "type": "p"},
    ]
    out = bundle.sh("stat -c '%n %a %u:%g %t:%T' /dev/mine /dev/deep/fifo; ls -l /dev; head -c1 /dev/zero | wc -c")
    assert "/dev/mine 640 3:4 1:5" in out and "/dev/deep/fifo 666 0:0 0:0" in out
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        assert f" {name}\n" in out
    for link in ("fd -> /proc/self/fd", "stdin -> /proc/self/fd/0", "ptmx -> pts/ptmx"):
        assert link in out


def test_a_device_that_is_something_else_is_an_error(bundle: Bundle) -> None:
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]
    (bundle.rootfs / "dev/mine").write_text("")
    bundle.linux["devices"] = [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5}]
    bundle.fails("/dev/mine")
    assert (bundle.rootfs / "dev/mine").is_file()


def test_the_hosts_dev_is_left_alone(bundle: Bundle) -> None:
    dev = bundle.path / "dev"
    dev.mkdir()
    subprocess.run(["mknod", dev / "null", "c", "1", "3"], check=True)
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]
    bundle.mount("/dev", "bind", dev, options=["rbind"])
    bundle.sh("true")
    assert sorted(p.name for p in dev.iterdir()) == ["null"]


def test_a_swapped_target_is_no_way_out(bundle: Bundle) -> None:
    """Somebody swaps a folder for a link while mounts are made below it."""
    outside = bundle.path / "outside"
    (outside / "sub").mkdir(parents=True)
    swap = bundle.rootfs / "swap"
    swap.mkdir()
    script = f"""
import os
from pathlib import Path
a, b = Path({str(swap)!r}), Path({str(bundle.rootfs / "other")!r})
b.symlink_to({str(outside)!r})
while True:
    os.rename(a, str(a) + ".x"); os.rename(b, a); os.rename(str(a) + ".x", b)
    os.rename(a, str(a) + ".x"); os.rename(b, a); os.rename(str(a) + ".x", b)
"""
    bundle.mount("/swap/sub", "tmpfs")
    bundle.mount("/swap/new", "bind", "/etc/hostname", options=["bind"])
    racer = subprocess.Popen(["python3", "-c", script])
    try:
        for _ in range(15):
            bundle.process["args"] = ["true"]
            bundle.run()
            assert sorted(p.name for p in outside.iterdir()) == ["sub"] and not any((outside / "sub").iterdir())
            assert str(outside) not in Path("/proc/self/mountinfo").read_text()
    finally:
        racer.kill()
        racer.wait()


def test_a_relative_destination_begins_at_the_root(bundle: Bundle) -> None:
    bundle.mount("plain", "tmpfs")
    bundle.process["args"] = ["grep", "-c", " /plain ", "/proc/self/mountinfo"]
    done = bundle.run()
    assert (done.code, done.out) == (0, "1\n") and "mounts[" in done.err, done


def test_a_tmpfs_has_the_mode_of_the_folder_that_it_covers(bundle: Bundle) -> None:
    for name in ("covered", "said"):
        (bundle.rootfs / name).mkdir()
        (bundle.rootfs / name).chmod(0o3710)
    bundle.mount("/covered", "tmpfs", options=["nosuid"])
    bundle.mount("/said", "tmpfs", options=["mode=0701"])
    bundle.mount("/fresh", "tmpfs")
    assert bundle.sh("stat -c %a /covered /said /fresh").split() == ["3710", "701", "1777"]


def test_a_read_only_tmpfs_takes_what_is_mounted_in_it(bundle: Bundle) -> None:
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/dev"]
    bundle.mount("/dev", "tmpfs", options=["ro", "mode=755"])
    bundle.mount("/dev/pts", "devpts", options=["newinstance"])
    bundle.mount("/outer", "tmpfs", options=["ro"])
    bundle.mount("/outer/inner", "tmpfs")
    bundle.mount("/twice", "tmpfs", options=["ro"])
    bundle.mount("/twice", "tmpfs")
    out = bundle.sh("cat /proc/self/mountinfo; echo x > /outer/inner/file; echo x > /twice/file; : < /dev/null")
    assert line_of(out, "/dev").startswith("ro") and line_of(out, "/outer").startswith("ro")
    assert line_of(out, "/outer/inner").startswith("rw")


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], "ro,nosuid,nodev,noexec,noatime"),
        (["noexec"], "rw,noexec,noatime"),
        (["ro", "dev"], "ro,noatime"),
        (["rw", "atime"], "rw,noatime"),
        (["nosuid", "relatime"], "rw,nosuid,relatime"),
    ],
)
def test_a_bind_keeps_the_attributes_of_its_source_until_it_has_own_ones(
    bundle: Bundle, options: list[str], shown: str
) -> None:
    source = bundle.path / "source"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source], check=True)
    try:
        flags = "remount,bind,ro,nosuid,nodev,noexec,noatime"
        subprocess.run(["mount", "-o", flags, source], check=True)
        bundle.mount("/bound", "bind", source, options=["bind", *options])
        assert mountinfo(bundle, "/bound").split()[0] == shown
    finally:
        subprocess.run(["umount", source], check=True)


def test_a_bind_shows_what_was_mounted_on_its_source_in_the_root(bundle: Bundle) -> None:
    (bundle.path / "source").mkdir()
    (bundle.path / "source/file").write_text("found\n")
    bundle.mount("/middle", "bind", bundle.path / "source", options=["bind"])
    bundle.mount("/end", "bind", bundle.rootfs / "middle", options=["rbind"])
    assert bundle.sh("cat /end/file") == "found\n"


def test_a_path_may_be_masked_twice(bundle: Bundle) -> None:
    (bundle.rootfs / "secret").mkdir()
    bundle.linux["maskedPaths"] = ["/secret", "/secret"]
    assert bundle.sh("grep -c ' /secret ' /proc/self/mountinfo") == "1\n"


def test_no_pivot_hides_every_procfs_of_the_machine(bundle: Bundle) -> None:
    other = bundle.path / "other"
    other.mkdir()
    subprocess.run(["mount", "-t", "proc", "proc", other], check=True)
    try:
        bundle.linux["maskedPaths"] = ["/proc/timer_list"]
        bundle.process["capabilities"] = {k: ["CAP_SETFCAP"] for k in ("bounding", "permitted", "effective")}
        bundle.process["args"] = ["unshare", "-mrpf", "mount", "-t", "proc", "none", "/proc"]
        done = bundle.run("--no-pivot")
        assert done.code != 0 and "denied" in done.err, done
    finally:
        subprocess.run(["umount", other], check=True)


def test_cgroups_over_those_of_a_bound_sys(bundle: Bundle) -> None:
    bundle.mount("/sys", "bind", "/sys", options=["rbind"])
    bundle.mount("/sys/fs/cgroup", "cgroup", options=["nosuid", "noexec", "nodev", "ro"])
    bundle.without("cgroup")
    line = line_of(bundle.sh("tac /proc/self/mountinfo; ls /sys/fs/cgroup"), "/sys/fs/cgroup")
    assert line.startswith("ro")


USERS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def in_user_namespace(bundle: Bundle) -> None:
    bundle.namespace("user")
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = USERS


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A mount of the machine."""
    folder = tmp_path / "volume"
    folder.mkdir()
    folder.chmod(0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "volume", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def attributes(volume: Path, options: str) -> None:
    """What a mount of the machine is from now on."""
    subprocess.run(["mount", "-o", "remount,bind,diratime,strictatime", str(volume)], check=True)
    subprocess.run(["mount", "-o", f"remount,bind,{options}", str(volume)], check=True)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("ro", "rw"),
        ("nosuid", "suid"),
        ("nodev", "dev"),
        ("noexec", "exec"),
        ("noatime", "relatime"),
        ("relatime", "strictatime"),
        ("relatime", "nodiratime"),
    ],
)
def test_a_user_namespace_takes_nothing_away_from_the_machines_mounts(
    bundle: Bundle, volume: Path, source: str, wanted: str
) -> None:
    attributes(volume, source)
    bundle.mount("/mnt", "bind", volume, ["bind", wanted])
    assert bundle.sh("grep -c ' /mnt ' /proc/self/mountinfo") == "1\n"
    in_user_namespace(bundle)
    bundle.fails("error mounting", "/mnt", "operation not permitted")


def test_a_user_namespace_may_restrict_what_it_sees(bundle: Bundle, volume: Path) -> None:
    attributes(volume, "nodev,noatime,nodiratime")
    bundle.mount("/mnt", "bind", volume, ["bind", "ro", "noexec", "rw", "diratime", "norelatime", "atime"])
    (bundle.rootfs / "mnt").mkdir()
    in_user_namespace(bundle)
    shown = bundle.sh("grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f6").strip().split(",")
    assert {"rw", "noexec", "nodev", "noatime", "nodiratime"} <= set(shown)


@pytest.mark.parametrize("users", [False, True])
def test_an_id_mapped_bind_shows_what_was_mounted_in_the_root(bundle: Bundle, tmp_path: Path, users: bool) -> None:
    (tmp_path / "file").write_text("of the machine")
    tmp_path.chmod(0o755)
    bundle.mount("/mnt", "bind", tmp_path, ["bind"])
    bundle.mount("/again", "bind", bundle.rootfs / "mnt", ["rbind", "idmap"], uidMappings=USERS, gidMappings=USERS)
    for name in ("mnt", "again"):
        (bundle.rootfs / name).mkdir()
    if users:
        in_user_namespace(bundle)
    owner = "0:0" if users else "100000:100000"
    assert bundle.sh("cat /again/file; stat -c ' %u:%g' /again/file") == f"of the machine {owner}\n"


def test_a_destination_that_is_in_the_root_on_the_machine(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    bundle.mount(str(bundle.rootfs / "deep/place"), "bind", tmp_path, ["bind"])
    bundle.process["args"] = ["cat", "/deep/place/file"]
    done = bundle.run()
    assert (done.code, done.out) == (0, "here")
    assert "destination" in done.err and "root.path" in done.err


def test_devices_of_a_user_namespace_are_devices_alone(bundle: Bundle) -> None:
    in_user_namespace(bundle)
    shown = bundle.sh("grep ' /dev/null ' /proc/self/mountinfo | cut -d' ' -f6").strip().split(",")
    assert {"nosuid", "noexec"} <= set(shown)


def test_a_device_with_a_slash_at_its_end(bundle: Bundle) -> None:
    bundle.linux["devices"] = [{"path": "/dev/thing/", "type": "c", "major": 1, "minor": 3}]
    assert bundle.sh("stat -c %F /dev/thing") == "character special file\n"
