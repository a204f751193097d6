"""Image files that try a decoder: lies in headers, bombs, rare modes, two formats in one, and broken ones."""

import io
import random
import struct
import zlib

from PIL import Image, ImageDraw

SIZE = (60, 40)  # width and height of ordinary images
LARGE = (4000, 4000)  # within the server's bound on pixels, from some hundred KB


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """A few shapes."""
    image = Image.new("RGB", size, "steelblue")
    draw = ImageDraw.Draw(image)
    draw.ellipse((5, 5, size[0] // 2, size[1] - 5), fill="gold")
    draw.line((0, 0, *size), fill="black", width=3)
    return image.convert(mode)


def ordinary() -> list[bytes]:
    """Files that any server of images has to take."""
    return [
        encoded(picture(), "PNG"),
        encoded(picture("RGBA"), "PNG"),
        encoded(picture("L"), "PNG"),
        encoded(picture("LA"), "PNG"),
        encoded(picture("P"), "PNG", transparency=0),
        encoded(picture(), "JPEG"),
        encoded(picture("L"), "JPEG", progressive=True),
        encoded(picture(), "BMP"),
        encoded(picture(), "WEBP"),
        encoded(picture("RGBA"), "WEBP", lossless=True),
    ]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2, interlaced: int = 0) -> bytes:
    """A PNG of these chunks behind a header that says what it is told to."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + b"".join(chunks) + png_chunk(b"IEND", b"")


def hostile() -> list[bytes]:
    """One of each; none is larger than a few hundred KB."""
    return [*_bombs(), *_many_frames(), *_rare_modes(), *_other_formats(), *_two_in_one(), *_broken()]


def _bombs() -> list[bytes]:
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(1_000_000), 9))
    jpeg = encoded(picture("L"), "JPEG", progressive=True)
    frame = jpeg.index(b"\xff\xc2") + 5  # height and width in the frame header
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    webp = encoded(picture("RGBA"), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")  # with a canvas in its header
    canvas = webp.index(b"VP8X") + 12
    bmp = bytearray(encoded(picture(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 30_000, -30_000)
    deflated = zlib.compress(bytes(20_000_000), 9)
    return [
        encoded(Image.new("RGBA", LARGE), "PNG"),
        encoded(Image.new("RGB", LARGE), "JPEG", progressive=True),
        png(20_000, 20_000, pixels),
        png(2**31 - 1, 2**31 - 1, pixels),
        png(2**32 - 1, 1, pixels),
        png(100_000, 200, pixels),
        png(10, 10, pixels),  # more than the header says
        png(10, 10, png_chunk(b"zTXt", b"Comment\0\0" + deflated), pixels),
        png(10, 10, png_chunk(b"iCCP", b"profile\0\0" + deflated), pixels),
        png(10, 10, png_chunk(b"tEXt", b"Comment\0" + b"a" * 1000) * 200, pixels),
        png(10, 10, png_chunk(b"prVt", b"") * 5000, pixels),
        png(10, 10, png_chunk(b"IDAT", b"") * 5000, pixels),
        jpeg[:frame] + struct.pack(">HH", 65_500, 65_500) + jpeg[frame + 4 :],
        jpeg[:-2] + scan * 2000 + jpeg[-2:],
        webp[:canvas] + b"\xff\x3f\0\xff\x3f\0" + webp[canvas + 6 :],
        bytes(bmp),
    ]


def _many_frames() -> list[bytes]:
    frames = [picture(size=(64, 64 - 8 * i)).resize((64, 64)) for i in range(4)]
    more = {"save_all": True, "append_images": frames[1:]}
    return [
        encoded(frames[0], "GIF", **more),
        encoded(frames[0], "WEBP", **more),
        encoded(frames[0], "PNG", **more),
        encoded(frames[0], "TIFF", **more),
        encoded(frames[0], "MPO", **more),
    ]


def _rare_modes() -> list[bytes]:
    row = zlib.compress((b"\0" + bytes(range(60))) * 10)  # 10 rows of 10 pixels of 48 bits
    orientation = Image.Exif()
    orientation[0x0112] = 77  # there are eight
    return [
        encoded(picture("CMYK"), "JPEG"),
        encoded(Image.new("I;16", SIZE, 30_000), "PNG"),
        encoded(picture("1"), "PNG"),
        encoded(picture("1"), "BMP"),
        encoded(picture("F"), "TIFF"),
        encoded(picture("LAB"), "TIFF"),
        png(10, 10, png_chunk(b"IDAT", row), depth=16),
        png(10, 10, png_chunk(b"IDAT", row), depth=3),
        png(10, 10, png_chunk(b"IDAT", row), colour=3),  # without a palette
        png(10, 10, png_chunk(b"IDAT", row), interlaced=1),
        encoded(picture(), "JPEG", exif=orientation),
        encoded(picture(), "JPEG", exif=b"Exif\0\0MM\0*" + b"\xff" * 200),
    ]


def _other_formats() -> list[bytes]:
    return [
        *(encoded(picture(), kind) for kind in ("TIFF", "ICO", "PPM", "TGA", "PCX", "JPEG2000", "EPS", "DDS")),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n",
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        b"<html><script>alert(1)</script></html>",
        b"%PDF-1.4\n1 0 obj\n<< /OpenAction << /S /Launch /F (id) >> >>\nendobj\n%%EOF\n",
        b"PK\x05\x06" + bytes(18),
        b"\x7fELF" + bytes(200),
        b"\x1f\x8b\x08\0" + bytes(20),
        b"8BPS\0\x01" + bytes(50),
        b"SIMPLE  =                    T" + b" " * 100,
    ]


def _two_in_one() -> list[bytes]:
    script = b"<script>alert(1)</script>"
    return [
        encoded(picture(), "PNG") + b"PK\x03\x04" + bytes(100),
        encoded(picture(), "JPEG", comment=script),
        encoded(picture(), "GIF") + encoded(picture(), "PNG"),
        b"GIF89a" + encoded(picture(), "PNG"),
        b"BM=1/*" + bytes(60) + b"*/;alert(1)",
        png(10, 10, png_chunk(b"tEXt", b"Comment\0" + script)),
        encoded(picture(), "JPEG") + encoded(picture(), "PNG"),
        encoded(picture(), "WEBP") + script,
    ]


def _broken() -> list[bytes]:
    image = encoded(picture(), "PNG")
    return [
        b"",
        b"\0",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"BM",
        b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        b"RIFF\x04\0\0\0WEBP",
        png(0, 0),
        png(10, 0, png_chunk(b"IDAT", zlib.compress(b""))),
        png(10, 10),
        png(10, 10, png_chunk(b"IDAT", b"not deflated")),
        image[:8] + image[33:],  # without its header
        image[:33] + image[8:33] + image[33:],  # with two
        image.replace(b"IDAT", b"IDAX"),
        image[:40] + bytes(20) + image[60:],
    ]


def damaged(source: random.Random, image: bytes) -> bytes:
    """`image` with bytes changed, cut off, taken out or doubled."""
    content = bytearray(image)
    for _ in range(source.randint(1, 8)):
        content[source.randrange(len(content))] = source.randrange(256)
    start, end = sorted(source.randrange(len(content) + 1) for _ in range(2))
    way = source.randrange(4)
    if way == 0:
        return bytes(content[:end])
    if way == 1:
        return bytes(content[:start] + content[end:])
    if way == 2:
        return bytes(content[:end] + content[start:])
    return bytes(content)
