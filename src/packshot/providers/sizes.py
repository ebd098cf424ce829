"""What a model is asked for in pixels, where its service is told pixels and not a shape."""

from typing import Protocol, runtime_checkable

from packshot.providers.contract import ImageRequest, Provider

Size = tuple[int, int]  # width and height in pixels


@runtime_checkable
class Sized(Protocol):
    """What an adapter has besides, when its service is asked for a size in pixels."""

    def size(self, request: ImageRequest) -> Size | None:
        """The pixels that this request asks for; None: this model chooses them."""
        ...


def size_of(provider: Provider, request: ImageRequest) -> Size | None:
    """The pixels that `request` asks this provider for. None: it is asked for a shape, and chooses them."""
    return provider.size(request) if isinstance(provider, Sized) else None
