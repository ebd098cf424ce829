"""Images as bytes and pixels: reading them safely, copies to serve, provenance, and drawn packshots."""

from packshot.imaging.header import BadImage, ImageHeader, MediaType, read_header

__all__ = ["BadImage", "ImageHeader", "MediaType", "read_header"]
