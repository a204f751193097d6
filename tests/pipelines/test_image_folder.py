import io

import numpy as np
import pytest
from PIL import Image

from pipelines import image_folder
from pipelines.errors import InputError
from pipelines.image_folder import common_size, fit_image, read_image
from pipelines.sources import open_source


def save(path, size=(8, 8), mode="RGB", colour=0):
    """size is (width, height), as Pillow has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


@pytest.fixture
def root(tmp_path):
    save(tmp_path / "train/dog/b.png", colour=(2, 0, 0))
    save(tmp_path / "train/dog/a.PNG", colour=(1, 0, 0))
    save(tmp_path / "train/cat/a.bmp", colour=(3, 0, 0))
    return tmp_path


def test_classes_and_files_come_in_sorted_order(root):
    (root / "train/dog/notes.txt").write_text("ignored")
    source = open_source(str(root))
    assert source.class_names == ("cat", "dog")
    assert source.train.labels.tolist() == [0, 1, 1]
    assert source.train.images[:, 0, 0, 0].tolist() == [3, 1, 2]
    assert source.train.files.tolist() == ["train/cat/a.bmp", "train/dog/a.PNG", "train/dog/b.png"]
    assert source.train.take(np.array([2, 0])).files.tolist() == ["train/dog/b.png", "train/cat/a.bmp"]
    assert source.validation is None
    assert source.load_test is None


def test_validation_and_test_folders_become_official_parts(root):
    save(root / "validation/dog/a.png")
    save(root / "test/cat/a.png")
    source = open_source(str(root))
    assert source.validation.labels.tolist() == [1]
    assert source.load_test().labels.tolist() == [0]


def test_test_folder_is_not_read_before_load_test(root):
    (root / "test/cat").mkdir(parents=True)
    (root / "test/cat/a.png").write_bytes(b"not an image")
    source = open_source(str(root))
    with pytest.raises(InputError, match=r"a\.png: cannot be read as an image"):
        source.load_test()


def test_grey_palette_and_transparent_images_become_rgb_on_white(tmp_path):
    assert read_image(save(tmp_path / "l.png", mode="L", colour=7))[0, 0].tolist() == [7, 7, 7]
    assert read_image(save(tmp_path / "rgba.png", mode="RGBA", colour=(255, 0, 0, 255)))[0, 0].tolist() == [255, 0, 0]
    assert read_image(save(tmp_path / "clear.png", mode="RGBA", colour=(255, 0, 0, 0)))[0, 0].tolist() == [255] * 3
    palette = Image.new("RGB", (8, 8), (10, 20, 30)).quantize(2)
    palette.save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png")[0, 0].tolist() == [10, 20, 30]


def test_black_and_white_images_become_rgb_on_white(tmp_path):
    image = Image.fromarray(np.array([[False, True]]))
    image.save(tmp_path / "plain.png")
    assert read_image(tmp_path / "plain.png").tolist() == [[[0] * 3, [255] * 3]]
    image.save(tmp_path / "clear.png", transparency=0)  # black is
    assert read_image(tmp_path / "clear.png").tolist() == [[[255] * 3] * 2]


def test_grey_of_16_bits_keeps_the_upper_8_on_white(tmp_path):
    image = Image.fromarray(np.array([[0, 255, 256, 128 * 257, 65535]], np.uint16))
    image.save(tmp_path / "plain.png")
    assert read_image(tmp_path / "plain.png").tolist() == [[[grey] * 3 for grey in (0, 0, 1, 128, 255)]]
    image.save(tmp_path / "clear.png", transparency=256)
    assert read_image(tmp_path / "clear.png").tolist() == [[[grey] * 3 for grey in (0, 0, 255, 128, 255)]]


def test_a_jpeg_in_the_colours_of_a_printer_becomes_rgb_as_pillow_has_it(tmp_path):
    red = save(tmp_path / "red.jpg", mode="CMYK", colour=(0, 255, 255, 0))
    assert read_image(red)[0, 0].tolist() == [255, 0, 0]
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 4)).astype(np.uint8)
    Image.fromarray(noise, "CMYK").save(tmp_path / "noise.jpg")
    with Image.open(tmp_path / "noise.jpg") as image:
        assert image.mode == "CMYK"
        assert np.array_equal(read_image(tmp_path / "noise.jpg"), image.convert("RGB"))


def test_modes_of_other_formats_are_refused_unless_their_rgb_meaning_is_obvious(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "FORMATS", ("TIFF",))  # those of FORMATS have no such mode
    palette = Image.new("PA", (2, 1))  # the second pixel is transparent
    palette.putpalette([10, 20, 30])
    palette.putpixel((0, 0), (0, 255))
    palette.save(tmp_path / "palette.tif")
    assert read_image(tmp_path / "palette.tif").tolist() == [[[10, 20, 30], [255] * 3]]
    for mode in ("F", "LAB"):
        with pytest.raises(InputError, match=rf"x\.tif: image mode: expected RGB, .*received {mode}"):
            read_image(save(tmp_path / "x.tif", mode=mode))


def test_truncated_image_is_refused_by_name(root):
    path = root / "train/cat/broken.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InputError, match=r"broken\.jpg: cannot be read as an image"):
        open_source(str(root))


@pytest.mark.parametrize("length", [3, 45])  # bytes; the header takes 33
@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_all_unreadable_images_are_one_error(root, tmp_path, monkeypatch, length, cache):
    monkeypatch.setenv("TFCIFAR_CACHE", str(tmp_path / "cache"))
    for name in ("cat/x.png", "dog/y.png"):
        path = save(root / "train" / name)
        path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match=r"^2 of 5 images cannot be used, among them: .*x\.png: .*y\.png: .*\.$"):
        open_source(str(root), cache=cache)


def test_images_of_formats_that_are_not_read_are_told_of(root, capsys):
    for name in ("cat/x.gif", "dog/y.GIF", "dog/z.tif", "dog/notes.txt"):
        (root / "train" / name).touch()
    assert len(open_source(str(root)).train) == 3
    assert "train: files left out: 3 (.gif, .tif); images are .png, .jpg" in capsys.readouterr().err


def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 63)  # the file has 64
    with pytest.raises(InputError, match=r"bomb\.png: cannot be read as an image .*decompression bomb"):
        read_image(path)


def test_an_image_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    path = save(tmp_path / "large.png", size=(40, 30))
    path.write_bytes(path.read_bytes()[:60])  # the header alone: decoding would complain of a truncated file
    with pytest.raises(InputError, match=r"large\.png: expected at most 1,199 pixels, received 40 x 30"):
        read_image(path, max_pixels=1199)


def test_the_content_decides_not_the_name(tmp_path):
    save(tmp_path / "x.gif").rename(tmp_path / "x.png")
    with pytest.raises(InputError, match=r"x\.png: cannot be read as an image"):
        read_image(tmp_path / "x.png")
    save(tmp_path / "y.bmp", colour=(1, 2, 3)).rename(tmp_path / "y.jpg")
    assert read_image(tmp_path / "y.jpg")[0, 0].tolist() == [1, 2, 3]


def test_bytes_are_read_like_files_and_exif_rotation_is_applied():
    image = Image.new("RGB", (8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    stream = io.BytesIO()
    image.save(stream, "JPEG", exif=exif)
    assert read_image(stream.getvalue()).shape == (8, 4, 3)


def test_bad_layouts_are_refused_with_the_expected_one(tmp_path, root):
    (tmp_path / "flat").mkdir()
    save(tmp_path / "flat/cat/a.png")
    with pytest.raises(InputError, match=r"no folder train/ in it\. Expected layout: train/<class>"):
        open_source(str(tmp_path / "flat"))
    (root / "train/owl").mkdir()
    with pytest.raises(InputError, match=r"owl: expected images .* received none"):
        open_source(str(root))


def test_fewer_than_two_classes_are_refused(tmp_path):
    save(tmp_path / "train/cat/a.png")
    with pytest.raises(InputError, match="at least 2 class folders, received 1"):
        open_source(str(tmp_path))


def test_class_unknown_to_train_is_refused(root):
    save(root / "validation/owl/a.png")
    with pytest.raises(InputError, match=r"owl: train/ has no such class\. Classes: cat, dog"):
        open_source(str(root))


def test_common_size_is_kept_and_mixed_sizes_take_the_clipped_median_of_shorter_sides():
    assert common_size([(20, 30), (20, 30)]) == (20, 30)
    assert common_size([(40, 100), (60, 50), (80, 90)]) == (50, 50)
    assert common_size([(8, 8), (9, 9)]) == (32, 32)
    assert common_size([(500, 400), (900, 900)]) == (224, 224)


def test_image_size_overrides(root):
    assert open_source(str(root), image_size=12).train.images.shape == (3, 12, 12, 3)


def test_fit_image_crops_the_centre_and_averages_when_shrinking():
    image = np.zeros((2, 6, 3), np.uint8)
    image[:, 2:4] = 9
    assert (fit_image(image, 2, 2) == 9).all()
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255  # finest checkerboard: aliasing would keep 0 and 255
    small = fit_image(np.repeat(board[..., None], 3, -1).astype(np.uint8), 8, 8)
    assert np.abs(small.astype(int) - 127).max() <= 8
