"""The animation is one image and a few lines of script; what it does in a browser is held by test_book."""

import base64
import io
import re

import pytest
from matplotlib.figure import Figure
from PIL import Image

from model_collapse.book.animation import SCRIPT, animation


def frames(count: int, size: float = 1.0):
    figures = []
    for k in range(count):
        figure = Figure(figsize=(size, size))
        ax = figure.subplots()
        ax.set_axis_off()
        figure.set_facecolor("white")
        ax.fill([0, 1, 1, 0], [0, 0, 1, 1], color=(k / count, 0, 0))
        figures.append(figure)
    return figures


def test_every_frame_has_its_tile():
    page = animation(frames(11), [str(k) for k in range(11)], "Black turns red.", columns=4).data
    assert 'data-columns="4" data-rows="3"' in page and "background-size: 400% 300%" in page
    packed = re.search(r"base64,([\w+/=]+)", page)[1]
    sprite = Image.open(io.BytesIO(base64.b64decode(packed)))
    assert sprite.format == "WEBP" and sprite.size == (440, 330)
    reds = [sprite.getpixel((k % 4 * 110 + 55, k // 4 * 110 + 55))[0] for k in range(12)]
    assert reds[:11] == sorted(reds[:11]) and reds[10] > 200 and reds[11] == 255  # the last tile is empty


def test_it_loads_nothing_and_is_small():
    page = animation(frames(3), ["a", "b", "c"], "Something.").data
    assert not re.search(r"https?:|//|@import", page.replace(re.search(r"base64,[\w+/=]+", page)[0], ""))
    assert len(SCRIPT.splitlines()) <= 40


def test_words_are_escaped():
    page = animation(frames(1), ['</script> "quoted"'], 'A "square" <b>').data
    assert "A &quot;square&quot; &lt;b&gt;" in page
    assert page.count("</script>") == 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 frames and 1 labels"):
        animation(frames(2), ["a"], "Something.")
    with pytest.raises(ValueError, match="0 frames and 0 labels"):
        animation([], [], "Nothing.")
    with pytest.raises(ValueError, match="40 frames of 550 x 550 pixels do not fit into one image"):
        animation(frames(40, size=5), [str(k) for k in range(40)], "Something.", columns=1)
