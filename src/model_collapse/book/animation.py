"""A small animation that needs nothing but the page: one sprite of all frames, a button, a slider, own script.

>>> animation([figure_of(g) for g in generations], [f"generation {g}" for g in generations], "Points shrink to a dot.")
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Sequence

from IPython.display import HTML
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["SCRIPT", "animation"]

QUALITY = 82
LARGEST = 16_383  # pixels along a side of a WebP image

SCRIPT = """\
(function (box) {
  var pane = box.querySelector(".frame"), button = box.querySelector("button");
  var slider = box.querySelector("input"), output = box.querySelector("output");
  var labels = JSON.parse(box.dataset.labels), columns = +box.dataset.columns, rows = +box.dataset.rows;
  var still = window.matchMedia("(prefers-reduced-motion: reduce)"), timer = null;
  function part(at, count) { return count > 1 ? 100 * at / (count - 1) + "%" : "0%"; }
  function show(at) {
    slider.value = at;
    output.textContent = labels[at];
    slider.setAttribute("aria-valuetext", labels[at]);
    pane.style.backgroundPosition = part(at % columns, columns) + " " + part(Math.floor(at / columns), rows);
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = still.matches ? "Step" : "Play";
    output.setAttribute("aria-live", "polite");
  }
  function step() {
    if (+slider.value >= labels.length - 1) { stop(); } else { show(+slider.value + 1); }
  }
  button.addEventListener("click", function () {
    if (timer) { stop(); return; }
    if (+slider.value >= labels.length - 1) { show(0); if (still.matches) { return; } }
    if (still.matches) { step(); return; }
    button.textContent = "Pause";
    output.setAttribute("aria-live", "off");  /* or every frame would be read out */
    timer = setInterval(step, 160);
  });
  still.addEventListener("change", stop);
  slider.addEventListener("input", function () { stop(); show(+slider.value); });
  stop();
  show(0);
})(document.currentScript.parentElement);
"""


def animation(frames: Sequence[Figure], labels: Sequence[str], alt: str, columns: int = 8) -> HTML:
    """Frames with a play button and a slider, as one piece of HTML that loads nothing.

    Every button and slider works from the keyboard. Who prefers reduced motion steps through the frames instead.

    Parameters
    ----------
    frames : sequence of matplotlib.figure.Figure
        All of one size; best made without pyplot, which keeps every figure until it is closed.
    labels : sequence of str
        What is written beside the slider for each frame.
    alt : str
        What the animation shows, for those who do not see it.

    Raises
    ------
    ValueError
        Where frames and labels differ in number, or there are too many frames for one image.
    """
    if len(frames) != len(labels) or not frames:
        raise ValueError(f"{len(frames)} frames and {len(labels)} labels")
    images = [_drawn(frame) for frame in frames]
    width, height = images[0].size
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    if columns * width > LARGEST or rows * height > LARGEST:
        raise ValueError(f"{len(images)} frames of {width} x {height} pixels do not fit into one image")
    sprite = Image.new("RGB", (columns * width, rows * height), "white")
    for at, image in enumerate(images):
        sprite.paste(image, (at % columns * width, at // columns * height))
    packed = io.BytesIO()
    sprite.save(packed, "WEBP", quality=QUALITY, method=6)
    source = base64.b64encode(packed.getvalue()).decode()
    return HTML(_page(source, labels, alt, columns, rows, f"{width} / {height}"))


def _drawn(frame: Figure) -> Image.Image:
    buffer = io.BytesIO()
    frame.savefig(buffer, format="png", dpi=110, facecolor="white")
    return Image.open(buffer).convert("RGB")


def _page(source: str, labels: Sequence[str], alt: str, columns: int, rows: int, ratio: str) -> str:
    listed = html.escape(json.dumps(list(labels)))
    return f"""<div class="animation" data-columns="{columns}" data-rows="{rows}" data-labels="{listed}">
<div class="frame" role="img" aria-label="{html.escape(alt)}" style="aspect-ratio: {ratio};
background-image: url(data:image/webp;base64,{source}); background-size: {columns * 100}% {rows * 100}%"></div>
<div class="controls"><button type="button">Play</button>
<input type="range" min="0" max="{len(labels) - 1}" value="0" aria-label="Frame">
<output>{html.escape(labels[0])}</output></div>
<script>
{SCRIPT}</script></div>"""
