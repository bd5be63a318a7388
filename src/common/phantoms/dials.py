"""Dials: the named settings of a phantom, with unit, range, default and the source of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Dial:
    """One setting of a phantom that a reader may turn.

    Args:
        name: the keyword of ``phantom``.
        unit: such as ``px``, ``mm``, ``share`` or ``1`` for a plain factor.
        default: the calibrated value.
        low: smallest value allowed.
        high: largest value allowed.
        effect: what changes in the image when the dial is turned up.
        source: the printed statistic, or the measurement on real files, behind the default.
        null: the value that switches the mechanism off; ``None`` where there is none.
    """

    name: str
    unit: str
    default: float
    low: float
    high: float
    effect: str
    source: str
    null: float | None = None

    def __post_init__(self) -> None:
        for label, value in (("default", self.default), ("null", self.null)):
            if value is not None and not self.low <= value <= self.high:
                raise ValueError(
                    f"`{label}` of dial {self.name!r} must be in [{self.low}, {self.high}], "
                    f"got {value!r}."
                )

    @property
    def text(self) -> str:
        """The dial in one line, for tables and messages."""
        off = "" if self.null is None else f"; off at {self.null:g}"
        return f"{self.name} ({self.unit}, {self.low:g} to {self.high:g}{off}): {self.effect}"


def check(dials: Sequence[Dial], values: Mapping[str, float]) -> None:
    """Check the values given to a phantom.

    Args:
        dials: those of the phantom.
        values: one value for each dial, by its name.

    Raises:
        ValueError: a dial is unknown, missing, or outside its range; names it with its meaning.
    """
    known = {dial.name: dial for dial in dials}
    if set(values) != set(known):
        odd = sorted(set(values) ^ set(known))
        raise ValueError(f"dials must be exactly {', '.join(known)}; these differ: {odd}.")
    for name, value in values.items():
        dial = known[name]
        if not dial.low <= value <= dial.high:
            raise ValueError(
                f"`{name}` must be in [{dial.low:g}, {dial.high:g}] {dial.unit}, got {value!r}. "
                f"{dial.effect}"
            )
