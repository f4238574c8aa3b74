"""Images."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from . import _containers
from ._later import missing
from ._progress import renderer
from ._types import HistoryEntry, ImageConfig, PullEvent, known

if TYPE_CHECKING:
    from ._options import Credentials, StrPath

Progress = bool | Callable[[PullEvent], object] | None
"""True: bars on standard error. A callable gets each :class:`PullEvent`; what it raises cancels the work."""


def on_event(progress: Progress) -> Callable[[dict[str, Any]], object] | None:
    """What the native half calls with progress."""
    if progress is None or progress is False:
        return None
    show: Callable[[PullEvent], object]
    if progress is True:
        show = renderer()
    elif callable(progress):
        show = progress
    else:
        raise TypeError(f"progress: expected bool or a callable, not {type(progress).__name__}")
    return lambda event: show(PullEvent(**known(PullEvent, event)))


def image_name(image: ImageBase | str) -> _containers.Image | str:
    """An image as the native half takes it."""
    if isinstance(image, ImageBase):
        return image._native
    if isinstance(image, str):
        return image
    raise TypeError(f"image: expected Image or str, not {type(image).__name__}")


def pull_options(platform: str | None, policy: str, auth: Mapping[str, str] | None, insecure: bool) -> dict[str, Any]:
    """What the native half takes for a pull."""
    return {"platform": platform, "policy": policy, "auth": auth, "insecure": insecure}


def import_options(
    tag: str | None, changes: Sequence[str], message: str | None, platform: str | None
) -> dict[str, Any]:
    """What the native half takes for an import."""
    return {"tag": tag, "changes": changes, "message": message, "platform": platform}


class ImageBase:
    """What is known about an image without waiting."""

    __slots__ = ("_native",)

    def __init__(self, native: _containers.Image) -> None:
        self._native = native

    @property
    def id(self) -> str:
        """``sha256:…`` of the configuration; ``host`` for the machine's own system."""
        return self._native.id

    @property
    def tags(self) -> list[str]:
        """References with tags."""
        return self._native.tags

    @property
    def digest(self) -> str:
        """Digest of the manifest; empty where there is none."""
        return self._native.digest

    @property
    def size(self) -> int:
        """Unpacked bytes."""
        return self._native.size

    @property
    def platform(self) -> str:
        """What it was built for: ``linux/amd64``, ``linux/arm64/v8``."""
        return "/".join(part for part in self._native.platform if part)

    @property
    def config(self) -> ImageConfig:
        """What containers take over from it."""
        return ImageConfig(**known(ImageConfig, self._native.config()))

    @property
    def labels(self) -> dict[str, str]:
        """Labels."""
        return self.config.labels

    def history(self) -> list[HistoryEntry]:
        """How it came to be, newest first."""
        entries = (known(HistoryEntry, entry) for entry in self._native.history())
        return [HistoryEntry(**{**entry, "created": entry["created"] / 1e9}) for entry in entries]

    def __repr__(self) -> str:
        names = ", ".join(self.tags) or self.id
        return f"<{type(self).__name__}: {names}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageBase) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


class Image(ImageBase):
    """One image. Got from :attr:`Runtime.images`, or :meth:`Image.host`."""

    __slots__ = ()

    @staticmethod
    def host(paths: Iterable[StrPath] = ()) -> Image:
        """The machine's own system, as an image that needs no download.

        It shows /usr, /bin, /sbin, /lib*, /opt and a filtered /etc (no shadow files, no keys), read-only below a
        writable layer that is thrown away. ``paths`` are further host folders to show. Wherever an image is named,
        ``"host"`` means the one without further folders.
        """
        return Image(_containers.host([os.fspath(path) for path in paths]))

    def tag(self, reference: str) -> None:
        """Gives it a further reference, which moves here when another image has it.

        Raises InvalidArgument for a malformed one.
        """
        self._native.tag(reference).wait()

    def inspect(self) -> dict[str, Any]:
        """Everything about it, as docker's inspect document."""
        return self._native.inspect().wait()

    def remove(self, *, force: bool = False) -> None:
        """Removes it with all its references; ``force``: when it has several.

        Raises ImageNotFound, and InUse while a container needs it, unless ``force``.
        """
        self._native.remove(force).wait()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)


class Images:
    """The images of a runtime: :attr:`Runtime.images`."""

    __slots__ = ("_native",)

    def __init__(self, native: _containers.Runtime) -> None:
        self._native = native

    def pull(
        self,
        reference: str,
        *,
        platform: str | None = None,
        policy: Literal["missing", "always", "never"] = "missing",
        auth: Credentials | None = None,
        insecure: bool = False,
        progress: Progress = None,
    ) -> Image:
        """Fetches an image: ``debian:12``, ``localhost:5000/app@sha256:…``.

        ``platform`` is ``os/arch[/variant]``, default this machine's. ``policy``: ask the registry only when the image
        is ``missing`` here, ``always``, or ``never``. ``auth``: explicit credentials, else those of the usual files.
        ``insecure`` allows plain HTTP and unverified certificates (localhost always may). ``progress``: True for bars
        on standard error, or a callable that gets each :class:`PullEvent` on the calling thread; what it raises
        cancels the pull. ^C cancels it too; what was fetched completely is kept for the next attempt.

        Raises ImageNotFound, Auth, Registry (it can't be reached, or what came does not match its digest),
        InvalidArgument (a malformed reference or platform), LimitExceeded, Unsupported.
        """
        show = on_event(progress)
        options = pull_options(platform, policy, auth, insecure)  # type: ignore[arg-type]
        return Image(self._native.image_pull(reference, options, show is not None).wait(show))

    def load(self, path: StrPath, *, platform: str | None = None, progress: Progress = None) -> list[Image]:
        """Loads an OCI layout (folder or tar) or a docker-archive: all images in it.

        Raises PathNotFound, InvalidArgument (it is neither), Corrupt, Unsupported.
        """
        show = on_event(progress)
        made = self._native.image_load(os.fspath(path), platform, show is not None).wait(show)
        return [Image(native) for native in made]

    def import_(
        self,
        path: StrPath,
        *,
        tag: str | None = None,
        changes: Sequence[str] = (),
        message: str | None = None,
        platform: str | None = None,
    ) -> Image:
        """Makes an image of one layer from a root file system tar (also gzip or zstd).

        ``changes`` are Dockerfile instructions applied to its configuration: ``CMD ["sh"]``, ``ENV A=b``.

        Raises PathNotFound, InvalidArgument, Corrupt.
        """
        options = import_options(tag, changes, message, platform)
        return Image(self._native.image_import(os.fspath(path), options).wait())

    def get(self, reference: str) -> Image:
        """Finds an image by reference, id, unique beginning of an id, or ``host``.

        Raises ImageNotFound, InvalidArgument (malformed, or a beginning of several ids).
        """
        return Image(self._native.image_get(reference).wait())

    def list(self) -> list[Image]:
        """All images, newest first."""
        from .errors import ImageNotFound

        images = []
        for row in self._native.image_list().wait():
            with contextlib.suppress(ImageNotFound):  # Removed meanwhile.
                images.append(self.get(row["id"]))
        return images

    def remove(self, image: Image | str, *, force: bool = False) -> None:
        """Removes a reference, and the image when it was the last; by id, or an Image, all of them.

        Raises ImageNotFound, and InUse while a container needs it, unless ``force``.
        """
        name = image_name(image)
        self._native.image_remove(name if isinstance(name, str) else name.id, force).wait()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)
