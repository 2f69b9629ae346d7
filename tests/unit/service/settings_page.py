"""The table of docs/service-settings.md, made from the settings themselves.

`PYTHONPATH=images/service python -m tests.unit.service.settings_page` writes it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from embedding_service.setting import Setting
from embedding_service.settings import Settings, entries

PAGE = Path(__file__).parents[3] / "docs" / "service-settings.md"
BEGIN = "<!-- made from embedding_service.settings -->\n"
END = "<!-- end -->\n"
CHANGED_BY = {"start": "", "file": "file", "request": "file, request"}


def with_table(page: str) -> str:
    """Return the page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def table() -> str:
    lines = [
        "| variable | name in the file | what it decides | a value | default | changed by |",
        "|---|---|---|---|---|---|",
        *_rows(),
    ]
    return "".join(f"{line}\n" for line in lines)


def _rows() -> Iterator[str]:
    fields = {each.name: each for each in dataclasses.fields(Settings)}
    for name, setting in entries().items():
        named = "" if setting.changed_by == "start" else f"`{name}`"
        cells = (
            f"`{setting.variable}`",
            named,
            setting.says,
            setting.kind.rule,
            _default(setting, fields[name].default),
            CHANGED_BY[setting.changed_by],
        )
        yield f"| {' | '.join(cells)} |"


def _default(setting: Setting, default: object) -> str:
    if setting.default is not None:
        return setting.default
    if default is None:
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
