"""`containers pull`, `images`, `tag`, `rmi`, `history`, `load`, `import`."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

from conftest import Cli


def test_pull_run_list_remove(cli: Cli, registry: dict[str, str]) -> None:
    image = registry["oci"]
    repository, tag = image.rsplit(":", 1)
    done = cli("pull", image)
    assert b"Digest: sha256:" in done.stdout and f"Downloaded newer image for {image}".encode() in done.stdout
    assert f"Image is up to date for {image}" in cli.out("pull", image)
    assert cli.out("pull", "-q", image) == image
    lines = cli.out("images").splitlines()
    assert lines[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert lines[1].split()[:2] == [repository, tag]
    assert cli.out("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository) == image
    assert cli.out("images", "-q", "nosuch") == ""
    assert cli.out("run", "--rm", image, "echo", "hello") == "hello"
    cli("tag", image, "mine:1")
    assert sorted(json.loads(cli.out("inspect", "-f", "{{json .RepoTags}}", "mine:1"))) == sorted([image, "mine:1"])
    assert len(cli.out("history", "-q", image).splitlines()) >= 1
    cli("run", "-d", "--name", "user", "mine:1", "sleep", "300")
    identity = json.loads(cli.out("inspect", "-f", "{{json .Id}}", "mine:1"))
    assert cli.out("rmi", image) == f"Untagged: {image}"
    assert "a container needs the image" in cli.error("rmi", "mine:1", code=1)
    cli("rm", "-f", "user")
    assert cli.out("rmi", "mine:1").splitlines() == ["Untagged: mine:1", f"Deleted: {identity}"]
    assert cli.out("images", "-q") == ""
    cli("rmi", "mine:1", code=1)


def test_a_registry_that_wants_credentials(cli: Cli, closed_registry: dict[str, str], tmp_path: Path) -> None:
    image, host = closed_registry["oci"], closed_registry["registry"]
    cli.env["DOCKER_CONFIG"] = str(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        cli.env[name] = str(tmp_path / "nothing")
    cli.env.pop("DOCKER_AUTH_CONFIG", None)

    def credentials(text: str) -> None:
        auth = base64.b64encode(text.encode()).decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))

    said = cli.error("pull", image, code=1)
    assert image in said and "wants credentials" in said, said
    credentials("bob:wrong-password")
    said = cli.error("run", "--rm", image, "true", code=125)
    assert image in said and "refuses the credentials" in said and "wrong-password" not in said, said
    assert cli.out("images", "-q") == ""
    credentials("bob:s3cret")
    assert cli.out("pull", "-q", image) == image


def test_run_pulls_what_is_missing(cli: Cli, registry: dict[str, str]) -> None:
    done = cli("run", "--rm", registry["configured"])
    assert b"Unable to find image" in done.stderr
    assert cli("run", "--rm", "-q", registry["configured"]).stderr == b""


def test_pull_errors_name_the_cause(cli: Cli, registry: dict[str, str]) -> None:
    assert "nosuch" in cli.error("pull", registry["registry"] + "/nosuch:1", code=1)
    assert "127.0.0.1:1" in cli.error("pull", "127.0.0.1:1/x:1", code=1)
    assert "Bad" in cli.error("pull", "Bad", code=1)


def test_import_and_load(cli: Cli, tmp_path: Path, registry: dict[str, str]) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tree / "bin/busybox").chmod(0o755)
    (tree / "bin/sh").symlink_to("busybox")
    archive = tmp_path / "rootfs.tar"
    subprocess.run(["tar", "-C", str(tree), "-cf", str(archive), "."], check=True)
    identity = cli.out("import", "-c", 'CMD ["sh", "-c", "echo imported"]', str(archive), "box:1")
    assert identity.startswith("sha256:")
    assert cli.out("run", "--rm", "box:1") == "imported"
    saved = tmp_path / "saved.tar"
    source = f"docker://{registry['oci']}"
    subprocess.run(
        ["skopeo", "copy", "-q", "--src-tls-verify=false", source, f"docker-archive:{saved}:loaded:2"], check=True
    )
    assert "loaded:2" in cli.out("load", "-i", str(saved))
    assert cli.out("run", "--rm", "loaded:2", "echo", "x") == "x"
