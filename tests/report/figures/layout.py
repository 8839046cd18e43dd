"""What is wrong with a figure's layout, by the boxes of its texts: overlaps, and what is cut."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

SLACK = 1.0  # pixels by which boxes may touch: a box is a little larger than its letters


def faults(figure: Figure) -> list[str]:
    """Return what no reader should see: texts over each other, over panels, or beyond the page.

    Args:
        figure: a figure that is drawn to the end.

    Returns:
        A line for each fault; [] where the layout is sound.
    """
    figure.draw_without_rendering()
    page, texts = figure.bbox, list(_texts(figure))
    boxes = [text.get_window_extent() for text in texts]
    found = []
    for i, (text, box) in enumerate(zip(texts, boxes, strict=True)):
        name = text.get_text()
        if box.x0 < page.x0 - SLACK or box.x1 > page.x1 + SLACK:
            found.append(f"beyond the sides: {name!r}")
        if box.y0 < page.y0 - SLACK or box.y1 > page.y1 + SLACK:
            found.append(f"beyond the top or the bottom: {name!r}")
        found += [
            f"{name!r} over {texts[j].get_text()!r}" for j in range(i) if _overlap(box, boxes[j])
        ]
    around = [text for text in texts if text.axes is None]
    for axes in figure.axes:
        frame = axes.get_window_extent()
        found += [
            f"{text.get_text()!r} over a panel"
            for text in around
            if _overlap(text.get_window_extent(), frame)
        ]
        if min(frame.width, frame.height) < 0.25 * figure.dpi:
            found.append(f"a panel of {frame.width:.0f} by {frame.height:.0f} pixels")
    return found


def _texts(figure: Figure) -> Iterator[Text]:
    """Yield every text that is drawn: not the labels of ticks beyond the axis."""
    hidden = {id(t) for axes in figure.axes for axis in _axes(axes) for t in _beyond(axis)}
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if id(text) not in hidden and text.get_visible() and text.get_text().strip():
            yield text


def _axes(axes: Axes) -> tuple[Axis, Axis]:
    return axes.xaxis, axes.yaxis


def _beyond(axis: Axis) -> Iterator[Text]:
    low, high = sorted(axis.get_view_interval())
    ticks = axis.get_major_ticks() + axis.get_minor_ticks()
    for tick in ticks:
        inside = low <= tick.get_loc() <= high
        shown = axis.get_visible() and tick.get_visible()
        if not (inside and shown and tick.label1.get_visible()):
            yield tick.label1
        yield tick.label2
    if not axis.get_visible():
        yield axis.label


def _overlap(one, other) -> bool:  # type: ignore[no-untyped-def]  # matplotlib's boxes
    return bool(
        min(one.x1, other.x1) - max(one.x0, other.x0) > SLACK
        and min(one.y1, other.y1) - max(one.y0, other.y0) > SLACK
    )
