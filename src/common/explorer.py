"""A picture with a dial: live in Jupyter, and on a page the same picture at some settings.

On a static page the settings are radio buttons that need no script. In Jupyter, where ipywidgets
is at hand, a slider draws the picture anew at any setting.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from matplotlib.figure import Figure

from common.display import Shown, describe
from common.errors import ReplicateError

# the stylesheet of the site shows as many
_MOST = 9
Draw = Callable[[float], Figure]


@dataclass(frozen=True, repr=False)
class Explorer(Shown):
    """Frames for a page, and what a live slider needs.

    Args:
        draw: makes the picture of a setting.
        low: smallest setting of the slider.
        high: largest setting.
        start: the setting shown first.
        label: what the dial is, with its unit.
    """

    draw: Draw | None = None
    low: float = 0.0
    high: float = 1.0
    start: float = 0.0
    label: str = ""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_()
        live = self._widget()
        return bundle if live is None else {**bundle, **live}

    def _widget(self) -> dict[str, Any] | None:
        """Return the view of a slider where there is a front end that could show it."""
        try:
            import ipywidgets
            from IPython.core.getipython import get_ipython
        except ImportError:
            return None
        if get_ipython() is None or self.draw is None:
            return None
        slider = ipywidgets.FloatSlider(
            value=self.start,
            min=self.low,
            max=self.high,
            step=(self.high - self.low) / 20,
            description=self.label,
            continuous_update=False,
            style={"description_width": "initial"},
            layout={"width": "28em"},
        )
        view = ipywidgets.interactive(self.draw, **{_argument(self.draw): slider})
        bundle = view._repr_mimebundle_()
        return {key: value for key, value in bundle.items() if "widget-view" in key}


def _argument(draw: Draw) -> str:
    import inspect

    return next(iter(inspect.signature(draw).parameters))


def explore(
    draw: Draw, values: Sequence[float], *, label: str, alt: str, caption: str = "", start: int = 0
) -> Explorer:
    """Show a picture at several settings of a dial.

    Args:
        draw: makes the figure of one setting; its only argument is the setting.
        values: settings for the page, in rising order, at most nine.
        label: what the dial is, with its unit.
        alt: what the pictures show, for who cannot see them; the setting is added.
        caption: how to read the picture.
        start: place of the setting that is shown first.

    Returns:
        An object that shows itself.

    Raises:
        ReplicateError: there are fewer than two or more than nine settings, or they do not rise.
    """
    settings = [float(value) for value in values]
    if not 2 <= len(settings) <= _MOST or sorted(set(settings)) != settings:
        raise ReplicateError(
            f"`values` must be 2 to {_MOST} rising numbers, got {list(values)!r}. Choose others."
        )
    pictures = [
        describe(draw(value), alt=f"{alt} {label}: {value:g}.", caption=caption).html
        for value in settings
    ]
    key = hashlib.sha256("".join([label, *pictures]).encode()).hexdigest()[:8]
    buttons = "".join(
        f'<input type="radio" name="rb-{key}" id="rb-{key}-{place}"'
        f"{' checked' if place == start else ''}>"
        f'<label for="rb-{key}-{place}">{value:g}</label>'
        for place, value in enumerate(settings)
    )
    frames = "".join(f"<div>{picture}</div>" for picture in pictures)
    return Explorer(
        plain=f"Figure: {alt}",
        html=f'<fieldset class="rb-explorer"><legend>{escape(label)}</legend>{buttons}'
        f'<div class="rb-frames">{frames}</div></fieldset>',
        draw=draw,
        low=settings[0],
        high=settings[-1],
        start=settings[start],
        label=label,
    )
