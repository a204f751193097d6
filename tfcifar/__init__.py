"""Image classification for small images, in five levels, each one command."""

__version__ = "0.1.0"
