"""Images, for asyncio."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from . import _containers
from ._bridge import finish
from ._image import ImageBase, Progress, image_name, import_options, on_event, pull_options
from ._later import missing
from .errors import ImageNotFound

if TYPE_CHECKING:
    from ._options import Credentials, StrPath


class Image(ImageBase):
    """One image, as :class:`containers.Image`."""

    __slots__ = ()

    @staticmethod
    def host(paths: Iterable[StrPath] = ()) -> Image:
        """The machine's own system: :meth:`containers.Image.host`."""
        return Image(_containers.host([os.fspath(path) for path in paths]))

    async def tag(self, reference: str) -> None:
        """Gives it a further reference: :meth:`containers.Image.tag`."""
        await finish(self._native.tag(reference))

    async def inspect(self) -> dict[str, Any]:
        """Everything about it, as docker's inspect document."""
        return await finish(self._native.inspect())

    async def remove(self, *, force: bool = False) -> None:
        """Removes it with all its references: :meth:`containers.Image.remove`."""
        await finish(self._native.remove(force))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)


class Images:
    """The images of a runtime, as :class:`containers.Images`."""

    __slots__ = ("_native",)

    def __init__(self, native: Callable[[], _containers.Runtime]) -> None:
        self._native = native

    async def pull(
        self,
        reference: str,
        *,
        platform: str | None = None,
        policy: Literal["missing", "always", "never"] = "missing",
        auth: Credentials | None = None,
        insecure: bool = False,
        progress: Progress = None,
    ) -> Image:
        """Fetches an image: :meth:`containers.Images.pull`.

        A ``progress`` callable is called on the loop and must not wait; what it raises cancels the pull.
        """
        show = on_event(progress)
        options = pull_options(platform, policy, cast("Mapping[str, str] | None", auth), insecure)
        operation = self._native().image_pull(reference, options, show is not None)
        return Image(await finish(operation, show))

    async def load(self, path: StrPath, *, platform: str | None = None, progress: Progress = None) -> list[Image]:
        """Loads an OCI layout or a docker-archive: :meth:`containers.Images.load`."""
        show = on_event(progress)
        operation = self._native().image_load(os.fspath(path), platform, show is not None)
        return [Image(native) for native in await finish(operation, show)]

    async def import_(
        self,
        path: StrPath,
        *,
        tag: str | None = None,
        changes: Sequence[str] = (),
        message: str | None = None,
        platform: str | None = None,
    ) -> Image:
        """Makes an image of a root file system tar: :meth:`containers.Images.import_`."""
        options = import_options(tag, changes, message, platform)
        return Image(await finish(self._native().image_import(os.fspath(path), options)))

    async def get(self, reference: str) -> Image:
        """Finds an image: :meth:`containers.Images.get`."""
        return Image(await finish(self._native().image_get(reference)))

    async def list(self) -> list[Image]:
        """All images, newest first."""
        images = []
        for row in await finish(self._native().image_list()):
            with contextlib.suppress(ImageNotFound):  # Removed meanwhile.
                images.append(await self.get(row["id"]))
        return images

    async def remove(self, image: ImageBase | str, *, force: bool = False) -> None:
        """Removes a reference, or an image: :meth:`containers.Images.remove`."""
        name = image_name(image)
        await finish(self._native().image_remove(name if isinstance(name, str) else name.id, force))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)
