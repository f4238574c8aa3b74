"""Images: pulled from a registry, loaded, listed, removed."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY

import containers
from containers import aio


@pytest.fixture
def own(root: Path) -> Iterator[containers.Runtime]:
    with containers.Runtime(root) as runtime:
        yield runtime


def test_pull_and_run(own: containers.Runtime, registry: dict[str, str]) -> None:
    events: list[containers.PullEvent] = []
    image = own.images.pull(registry["oci"], progress=events.append)
    assert image.id.startswith("sha256:")
    assert image.digest.startswith("sha256:")
    assert image.tags == [registry["oci"]]
    assert image.size > 0
    assert image.platform.startswith("linux/")
    assert image.config.cmd == ["sh"]
    assert image.inspect()["Id"] == image.id
    assert all(isinstance(entry, containers.HistoryEntry) for entry in image.history())
    kinds = [event.event for event in events]
    assert kinds[0] == "resolved"
    assert kinds[-1] == "complete"
    assert events[-1].id == image.id
    assert events[-1].fetched is True
    assert kinds.count("done") == events[0].layers

    assert own.containers.run(image, ["echo", "inside"]).stdout == b"inside\n"
    assert own.containers.run(registry["oci"], ["echo", "named"]).stdout == b"named\n"
    assert own.images.get(image.id) == image
    assert own.images.list() == [image]
    image.tag("again:1")
    assert len(own.images.get("again:1").tags) == 2
    with pytest.raises(containers.Conflict):
        image.remove()
    own.images.remove("again:1")
    with own.containers.create(image, ["true"]), pytest.raises(containers.InUse):
        image.remove()
    image.remove()
    assert own.images.list() == []
    with pytest.raises(containers.ImageNotFound):
        own.images.get(registry["oci"])


def test_configured_images(own: containers.Runtime, registry: dict[str, str]) -> None:
    image = own.images.pull(registry["configured"])
    assert image.config.entrypoint
    assert image.labels
    for name in ("schema2", "zstd", "index"):
        made = own.images.pull(registry[name])
        assert own.containers.run(made, ["echo", name]).stdout == f"{name}\n".encode()


def test_pull_failures(own: containers.Runtime, registry: dict[str, str]) -> None:
    host = registry["registry"]
    with pytest.raises(containers.ImageNotFound) as caught:
        own.images.pull(f"{host}/nothing/here:1")
    assert "nothing/here" in str(caught.value)
    with pytest.raises(containers.InvalidArgument):
        own.images.pull("UPPER//case::")
    with pytest.raises(containers.Registry):
        own.images.pull("localhost:1/x:1")
    with pytest.raises(containers.ImageNotFound):
        own.images.pull(registry["oci"], policy="never")
    with pytest.raises(containers.InvalidArgument) as policy:
        own.images.pull(registry["oci"], policy="sometimes")  # type: ignore[arg-type]
    assert policy.value.context["field"] == "policy"
    with pytest.raises(containers.InvalidArgument) as platform:
        own.images.pull(registry["oci"], platform="linux")
    assert platform.value.context["field"] == "platform"
    with pytest.raises(TypeError, match="auth"):
        own.images.pull(registry["oci"], auth={"user": "x"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="progress"):
        own.images.pull(registry["oci"], progress=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        own.images.pull(5)  # type: ignore[arg-type]
    assert own.images.list() == []


def test_what_a_callback_raises_cancels(own: containers.Runtime, registry: dict[str, str]) -> None:
    def stop(event: containers.PullEvent) -> None:
        raise ZeroDivisionError(event.event)

    with pytest.raises(ZeroDivisionError, match="resolved"):
        own.images.pull(registry["oci"], progress=stop)
    own.images.pull(registry["oci"])


def test_aio_pull(root: Path, registry: dict[str, str]) -> None:
    async def main() -> None:
        async with aio.Runtime(root) as rt:

            def stop(event: containers.PullEvent) -> None:
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await rt.images.pull(registry["oci"], progress=stop)
            task = asyncio.create_task(rt.images.pull(registry["oci"]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            events: list[containers.PullEvent] = []
            image = await rt.images.pull(registry["oci"], progress=events.append)
            assert events[-1].event == "complete"
            assert await rt.images.list() == [image]
            assert (await rt.images.get(image.id)).id == image.id
            assert (await image.inspect())["Id"] == image.id
            assert (await rt.containers.run(image, ["echo", "x"])).stdout == b"x\n"
            await image.tag("again:1")
            await rt.images.remove("again:1")
            await rt.images.remove(image)

    asyncio.run(main())


def test_bars_and_lines(registry: dict[str, str], root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with containers.Runtime(root) as rt:
        rt.images.pull(registry["oci"], progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "complete" in err
    assert "image " in err


def test_the_bars_on_a_terminal() -> None:
    from containers._progress import Bars

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    bars = Bars(screen)
    bars._interval = 0
    a, b = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    bars(containers.PullEvent("resolved", digest=a, layers=2, total=2000))
    bars(containers.PullEvent("exists", layer=a))
    bars(containers.PullEvent("downloading", layer=b, current=500, total=1000))
    bars(containers.PullEvent("extracting", layer=b))
    bars(containers.PullEvent("done", layer=b))
    bars(containers.PullEvent("complete", id=a, fetched=True))
    shown = screen.getvalue()
    assert "aaaaaaaaaaaa: already exists" in shown
    assert f"[{'=' * 15}{' ' * 15}] 500B/1.0kB" in shown
    assert shown.endswith("image aaaaaaaaaaaa: pulled\n")


def test_import_and_load(own: containers.Runtime, tmp_path: Path) -> None:
    with pytest.raises(containers.PathNotFound):
        own.images.load(tmp_path / "none")
    with pytest.raises(containers.PathNotFound):
        own.images.import_(tmp_path / "none.tar")
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    subprocess.run(["cp", "/bin/busybox", tree / "bin" / "busybox"], check=True)
    subprocess.run(["tar", "-C", tree, "-cf", tmp_path / "r.tar", "."], check=True)
    image = own.images.import_(
        tmp_path / "r.tar", tag="made:1", changes=['ENTRYPOINT ["/bin/busybox"]', "ENV A=b"], message="by hand"
    )
    assert image.config.env == ["A=b"]
    assert own.containers.run(image, ["echo", "x"]).stdout == b"x\n"
    assert own.containers.run("made:1", "echo 'y z'").stdout == b"y z\n"
    with pytest.raises(TypeError, match="changes"):
        own.images.import_(tmp_path / "r.tar", changes=5)  # type: ignore[arg-type]


def test_a_registry_that_wants_credentials(own: containers.Runtime, registry: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "pull.py"
    script.write_text("import containers, os\n" + AUTH)
    start = [sys.executable, str(REPOSITORY / "tests/registry/start.py"), "--auth", "bob:s3cret", "--images", "oci"]
    done = subprocess.run([*start, "--", sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "fine\n"


AUTH = """
reference = os.environ["TEST_IMAGE_OCI"]
with containers.Runtime() as rt:
    for auth in (None, {"username": "bob", "password": "wrong"}):
        try:
            rt.images.pull(reference, auth=auth)
        except containers.Auth as error:
            assert error.code == "auth" and error.context["ref"] == reference, error
            assert "wrong" not in str(error), error
        else:
            raise SystemExit("it was pulled")
    assert rt.images.list() == []
    rt.images.pull(reference, auth={"username": "bob", "password": "s3cret"})
    assert rt.containers.run(reference, ["true"]).exit_code == 0
print("fine")
"""
