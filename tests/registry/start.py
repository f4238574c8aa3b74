#!/usr/bin/env python3
"""A real docker-registry on a free loopback port, filled with small busybox images.

    start.py [--auth USER:PASSWORD] [--tls] [--images NAME,…|none]           until stdin closes or SIGTERM
    start.py [options] -- COMMAND [ARG…]                                     while COMMAND runs

Prints `key=value` lines, then `ready`; afterwards nothing but errors on stderr:

    registry=localhost:40123
    oci=localhost:40123/busybox:latest
    …
    ready

A COMMAND gets the same values as environment variables, `TEST_REGISTRY` and `TEST_IMAGE_<NAME>`, instead
of lines on stdout, and its exit code is ours. Everything lies in one temporary folder that is removed at
the end.

Images (`--images`, all by default):
  oci         busybox:latest      two gzip layers, made by umoci: `sh` as command, PATH, HOME
  schema2     busybox:schema2     the same as Docker schema 2
  zstd        busybox:zstd        the same with zstd layers
  index       busybox:multi       an OCI index: this machine's platform, and one that is not
  configured  busybox:configured  entrypoint, command, environment, user, working folder, labels, stop signal
  damaged     damaged:wrong-digest, damaged:truncated: their layers are damaged in the registry (no lines of their own)

Needs: docker-registry, skopeo, umoci, busybox-static; openssl for --tls, perl for --auth.
"""

import argparse
import base64
import ctypes
import gzip
import hashlib
import io
import json
import os
import selectors
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

NAMES = ["oci", "schema2", "zstd", "index", "configured", "damaged"]
TAGS = {"oci": "latest", "schema2": "schema2", "zstd": "zstd", "index": "multi", "configured": "configured"}
GO_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64", "s390x": "s390x", "ppc64le": "ppc64le"}
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
APPLETS = (
    "sh ash cat echo ls id env true false sleep seq head tail wc tr sed grep awk find stat touch mkdir rm rmdir mv cp "
    "ln chmod chown mount umount ps kill killall hostname uname date dd od hexdump test [ printf pwd whoami tty stty "
    "tee sort uniq cut sha256sum md5sum nproc free df du vi wget nc ip ifconfig ping yes timeout nohup setsid xargs "
    "expr basename dirname readlink realpath mknod mktemp tar gzip gunzip zcat su pidof top usleep"
).split()


def die_with_parent() -> None:
    """In the child: end when the parent is killed, so that no registry is left."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def run(*argv: str, env: Mapping[str, str] | None = None) -> bytes:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout.decode(errors='replace')}")
    return done.stdout


class Registry:
    def __init__(self, folder: str, auth: str | None = None, tls: bool = False) -> None:
        self.folder, self.auth, self.tls = folder, auth, tls
        self.process: subprocess.Popen[bytes] | None = None
        self.context: ssl.SSLContext | None = None
        if tls:
            self.certificate()
        for _ in range(10):
            self.port = free_port()
            self.start()
            if self.wait_until_ready():
                return
            self.stop()
        raise SystemExit("docker-registry did not start; see " + self.log)

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def certificate(self) -> None:
        run(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-keyout",
            f"{self.folder}/key.pem",
            "-out",
            f"{self.folder}/ca.crt",
        )
        self.context = ssl.create_default_context(cafile=f"{self.folder}/ca.crt")

    def start(self) -> None:
        http: dict[str, Any] = {"addr": f"127.0.0.1:{self.port}"}
        if self.tls:
            http["tls"] = {"certificate": f"{self.folder}/ca.crt", "key": f"{self.folder}/key.pem"}
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": f"{self.folder}/data"}, "delete": {"enabled": True}},
            "http": http,
        }
        if self.auth:
            user, password = self.auth.split(":", 1)
            salt = "$2y$05$" + base64.b64encode(os.urandom(17)).decode().translate(str.maketrans("+=", ".."))[:22]
            hashed = run("perl", "-e", "print crypt($ENV{P}, $ENV{S})", env={**os.environ, "P": password, "S": salt})
            with open(f"{self.folder}/htpasswd", "wb") as f:
                f.write(user.encode() + b":" + hashed + b"\n")
            config["auth"] = {"htpasswd": {"realm": "test", "path": f"{self.folder}/htpasswd"}}
        path = f"{self.folder}/config.yml"
        with open(path, "w") as f:
            json.dump(config, f)  # JSON is YAML
        self.log = f"{self.folder}/registry.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )

    def wait_until_ready(self) -> bool:
        for _ in range(600):
            if self.process is None or self.process.poll() is not None:
                return False
            try:
                self.request("GET", "/v2/")
                return True
            except urllib.error.HTTPError:
                return False  # somebody else's server has the port
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        return False

    def request(self, method: str, path: str, body: bytes | None = None, content_type: str | None = None) -> bytes:
        request = urllib.request.Request(f"http{'s' if self.tls else ''}://{self.host}{path}", data=body, method=method)
        if self.auth:
            request.add_header("Authorization", "Basic " + base64.b64encode(self.auth.encode()).decode())
        if content_type:
            request.add_header("Content-Type", content_type)
        else:
            request.add_header("Accept", f"{MANIFEST}, {INDEX}")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context)
        )
        with opener.open(request, timeout=30) as answer:
            content: bytes = answer.read()
            return content

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def root_file_systems(folder: str) -> tuple[str, str]:
    """Two trees: busybox with its links, and the rest of a small system."""
    first, second = f"{folder}/first", f"{folder}/second"
    os.makedirs(f"{first}/bin")
    shutil.copy("/bin/busybox", f"{first}/bin/busybox")
    os.chmod(f"{first}/bin/busybox", 0o755)
    for applet in APPLETS:
        os.symlink("busybox", f"{first}/bin/{applet}")
    for name, mode in [("etc", 0o755), ("tmp", 0o1777), ("root", 0o700), ("home", 0o755), ("var", 0o755)]:
        os.mkdir(f"{second}/{name}") if os.path.isdir(second) else os.makedirs(f"{second}/{name}")
        os.chmod(f"{second}/{name}", mode)
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "app:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
        "etc/group": "root:x:0:\ndaemon:x:1:\nusers:x:100:app\napp:x:1000:\nnogroup:x:65534:\n",
        "etc/motd": "hello from busybox\n",
    }
    for name, content in files.items():
        with open(f"{second}/{name}", "w") as f:
            f.write(content)
        os.chmod(f"{second}/{name}", 0o644)
    os.mkdir(f"{second}/home/app")
    return first, second


def make_layout(folder: str) -> str:
    first, second = root_file_systems(folder)
    layout = f"{folder}/layout"
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:oci")
    for tree in [f"{first}/bin", f"{second}"]:
        target = "/bin" if tree.endswith("/bin") else "/"
        run("umoci", "insert", *rootless, "--image", f"{layout}:oci", tree, target)
    run(
        "umoci",
        "config",
        "--image",
        f"{layout}:oci",
        "--config.cmd",
        "sh",
        "--config.env",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "--config.env",
        "HOME=/root",
    )
    return layout


def push(registry: Registry, layout: str, wanted: list[str]) -> None:
    def copy(source: str, tag: str, *options: str) -> None:
        credentials = ["--dest-creds", registry.auth] if registry.auth else []
        run(
            "skopeo",
            "copy",
            "--quiet",
            "--insecure-policy",
            "--dest-tls-verify=false",
            *credentials,
            *options,
            f"oci:{layout}:{source}",
            f"docker://{registry.host}/busybox:{tag}",
            env={
                **os.environ,
                "NO_PROXY": "localhost",
                "no_proxy": "localhost",
                "XDG_DATA_HOME": f"{registry.folder}/cache",
                "REGISTRY_AUTH_FILE": f"{registry.folder}/auth.json",
                "XDG_CONFIG_HOME": registry.folder,
                "XDG_RUNTIME_DIR": registry.folder,
                "HOME": registry.folder,
            },
        )

    # Nothing of the caller's own login, which another user could not even read.
    with open(f"{registry.folder}/auth.json", "w") as f:
        f.write("{}")
    if "zstd" in wanted:  # first, for skopeo compresses nothing anew whose layers are there already
        copy("oci", "zstd", "--dest-compress", "--dest-compress-format", "zstd")
    copy("oci", "latest")
    if "schema2" in wanted:
        copy("oci", "schema2", "--format", "v2s2")
    if "configured" in wanted:
        run(
            "umoci",
            "config",
            "--image",
            f"{layout}:oci",
            "--tag",
            "configured",
            "--config.entrypoint",
            "echo",
            "--config.entrypoint",
            "entry",
            "--config.cmd",
            "default",
            "--config.env",
            "COLOUR=blue",
            "--config.user",
            "app",
            "--config.workingdir",
            "/home/app",
            "--config.label",
            "purpose=test",
            "--config.exposedports",
            "80/tcp",
            "--config.volume",
            "/data",
            "--config.stopsignal",
            "SIGINT",
        )
        copy("configured", "configured")
    if "index" in wanted:
        push_index(registry)
    if "damaged" in wanted:
        push_damaged(registry)


def push_index(registry: Registry) -> None:
    """An index of the image for this machine and of the same layers declared for another architecture."""
    manifest = registry.request("GET", "/v2/busybox/manifests/latest")
    document = json.loads(manifest)
    config = json.loads(registry.request("GET", f"/v2/busybox/blobs/{document['config']['digest']}"))
    here = config["architecture"]
    other = "arm64" if here != "arm64" else "amd64"
    config["architecture"] = other
    foreign_config = json.dumps(config).encode()
    document["config"] = {**document["config"], **blob(registry, foreign_config)}
    foreign = json.dumps(document).encode()
    registry.request("PUT", f"/v2/busybox/manifests/{digest(foreign)}", foreign, MANIFEST)
    entries = [(foreign, {"os": "linux", "architecture": other}), (manifest, {"os": "linux", "architecture": here})]
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{"mediaType": MANIFEST, "digest": digest(m), "size": len(m), "platform": p} for m, p in entries],
    }
    registry.request("PUT", "/v2/busybox/manifests/multi", json.dumps(index).encode(), INDEX)


def push_damaged(registry: Registry) -> None:
    """Images whose layer is another one, and a part of one, in the registry's store."""
    config = json.loads(registry.request("GET", "/v2/busybox/manifests/latest"))["config"]["digest"]
    here = json.loads(registry.request("GET", f"/v2/busybox/blobs/{config}"))
    for tag in ("wrong-digest", "truncated"):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            member = tarfile.TarInfo("file")
            member.size = 100_000
            tar.addfile(member, io.BytesIO(os.urandom(member.size)))
        document = {
            "architecture": here["architecture"],
            "os": here["os"],
            "rootfs": {"type": "layers", "diff_ids": [digest(archive.getvalue())]},
        }
        layer = blob(registry, gzip.compress(archive.getvalue()), "damaged")
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                **blob(registry, json.dumps(document).encode(), "damaged"),
            },
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **layer}],
        }
        registry.request("PUT", f"/v2/damaged/manifests/{tag}", json.dumps(manifest).encode(), MANIFEST)
        name = str(layer["digest"]).split(":")[1]
        path = f"{registry.folder}/data/docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"
        with open(path, "r+b") as f:
            if tag == "truncated":
                f.truncate(50_000)
            else:
                f.seek(50_000)
                f.write(b"something else")


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob(registry: Registry, data: bytes, repository: str = "busybox") -> dict[str, str | int]:
    """Uploads a blob in one request; its descriptor."""
    import http.client

    connection = (
        http.client.HTTPSConnection(registry.host, context=registry.context)
        if registry.tls
        else http.client.HTTPConnection(registry.host)
    )
    headers = {"Content-Length": "0"}
    if registry.auth:
        headers["Authorization"] = "Basic " + base64.b64encode(registry.auth.encode()).decode()
    connection.request("POST", f"/v2/{repository}/blobs/uploads/", headers=headers)
    answer = connection.getresponse()
    answer.read()
    location = answer.getheader("Location")
    if location is None:
        raise SystemExit("the registry names no place for a blob")
    path = location.split(registry.host, 1)[-1]
    headers |= {"Content-Length": str(len(data)), "Content-Type": "application/octet-stream"}
    connection.request("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest(data)}", data, headers)
    if connection.getresponse().status != 201:
        raise SystemExit("the registry refused a blob")
    return {"digest": digest(data), "size": len(data)}


def wait_for_the_end() -> None:
    """Returns when stdin is closed; a signal ends it by an exception."""
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(sys.stdin, selectors.EVENT_READ)
        except (PermissionError, ValueError):  # /dev/null or a file: wait for a signal
            while True:
                signal.pause()
        while True:
            selector.select()
            if not os.read(sys.stdin.fileno(), 4096):
                return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask for basic authentication")
    parser.add_argument("--tls", action="store_true", help="serve HTTPS with a certificate of its own (ca=PATH)")
    parser.add_argument("--images", default=",".join(NAMES), help="which images to push: names, or none")
    parser.add_argument("command", nargs="*", help="run this and stop")
    options = parser.parse_args()
    command: list[str] = options.command
    wanted: list[str] = [] if options.images == "none" else options.images.split(",")
    if unknown := set(wanted) - set(NAMES):
        parser.error(f"unknown images: {', '.join(sorted(unknown))}")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    folder = tempfile.mkdtemp(prefix="test-registry-")
    registry = None
    try:
        registry = Registry(folder, options.auth, options.tls)
        if wanted:
            push(registry, make_layout(folder), wanted)
        values = {"registry": registry.host} | {n: f"{registry.host}/busybox:{TAGS[n]}" for n in wanted if n in TAGS}
        if options.tls:
            values["ca"] = f"{folder}/ca.crt"
        if command:
            env = {f"TEST_{'' if k in ('registry', 'ca') else 'IMAGE_'}{k.upper()}": v for k, v in values.items()}
            return subprocess.run(command, env={**os.environ, **env}).returncode
        for key, value in values.items():
            print(f"{key}={value}")
        print("ready", flush=True)
        wait_for_the_end()
        return 0
    finally:
        if registry:
            registry.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
