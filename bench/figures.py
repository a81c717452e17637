"""What was measured, as values, as a table and as JSON. Knows nothing of how anything was measured."""

import json
import os
import platform
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hacore import __version__
from hacore.testing.mixed import Product


@dataclass(slots=True, kw_only=True)
class Figure:
    """One thing that was measured on both sides, several times each."""

    name: str
    unit: str
    aim: float | None = None  # of the ratio, hacore to Patroni
    more_is_better: bool = False
    digits: int = 0
    values: dict[Product, list[float]] = field(default_factory=lambda: {product: [] for product in Product})

    def add(self, product: Product, value: float) -> None:
        self.values[product].append(value)

    def median(self, product: Product) -> float | None:
        found = self.values[product]
        return statistics.median(found) if found else None

    @property
    def ratio(self) -> float | None:
        ours, theirs = self.median(Product.HACORE), self.median(Product.PATRONI)
        return ours / theirs if ours is not None and theirs else None

    @property
    def is_met(self) -> bool | None:
        if self.aim is None or self.ratio is None:
            return None
        return self.ratio >= self.aim if self.more_is_better else self.ratio <= self.aim

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            **{product.value: {"median": self.median(product), "values": self.values[product]} for product in Product},
            "ratio": self.ratio,
            "aim": self.aim,
            "is_met": self.is_met,
        }


class Book:
    """All figures of one run, in the order of their first mention."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.figures: dict[str, Figure] = {}
        self.began_at = datetime.now(UTC)
        self.load_average = [os.getloadavg()[0]]  # one for each part: who reads a figure has to know what else the machine did

    def figure(self, name: str, unit: str, **fields: Any) -> Figure:  # noqa: ANN401 - the fields of Figure
        return self.figures.setdefault(name, Figure(name=name, unit=unit, **fields))

    def as_json(self) -> dict[str, Any]:
        return {
            "began_at": self.began_at.isoformat(),
            "hacore": __version__,
            "machine": {"kernel": platform.release(), "python": platform.python_version(), "processor": processor()},
            "load_average": self.load_average,
            "settings": self.settings,
            "figures": [figure.as_json() for figure in self.figures.values()],
        }

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n")

    def show(self, console: Console) -> None:
        table = Table(title="hacore beside Patroni: medians (lowest to highest)")
        for head, justify in (
            ("", "left"),
            ("unit", "left"),
            ("hacore", "right"),
            ("Patroni", "right"),
            ("ratio", "right"),
            ("aim", "right"),
        ):
            table.add_column(head, justify=justify)  # type: ignore[arg-type]
        for figure in self.figures.values():
            table.add_row(figure.name, figure.unit, *(shown(figure, product) for product in Product), *verdict(figure))
        console.print(table)
        console.print(f"{processor()}; load average in between: {', '.join(f'{load:.1f}' for load in self.load_average)}")


def shown(figure: Figure, product: Product) -> str:
    found = figure.values[product]
    if not found:
        return ""
    middle = f"{statistics.median(found):.{figure.digits}f}"
    return middle if len(found) == 1 else f"{middle} ({min(found):.{figure.digits}f} to {max(found):.{figure.digits}f})"


def verdict(figure: Figure) -> Iterable[str]:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    if figure.is_met is None:
        return ratio, "" if figure.aim is None else f"{figure.aim:g}"
    sign = ">=" if figure.more_is_better else "<="
    colour = "green" if figure.is_met else "red"
    return f"[{colour}]{ratio}[/{colour}]", f"{sign} {figure.aim:g}"


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()
