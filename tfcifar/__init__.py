"""Image classification for small images, in five levels, a command or a few for each."""

__version__ = "0.1.0"
