"""Licences: which ones a package names, and which of its files hold their texts."""

from __future__ import annotations

import posixpath
import re
from email.message import Message

COMMON = "usr/share/common-licenses"
"""Where Debian keeps the texts that most copyright files refer to, relative to the root."""

_FIELD = re.compile(r"^License:[ \t]*(\S[^\n]*)$", re.MULTILINE)
_REFERENCE = re.compile(rf"/{COMMON}/([A-Za-z][A-Za-z0-9.+-]*[A-Za-z0-9+])")
_PYTHON = "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2"
_TEXT = re.compile(
    r"(.*[._-])?((un)?licen[cs]es?|copying|copyright|notices?|third[._-]?party[._-]?\w*)([._-].*)?",
    re.IGNORECASE,
)
_CODE = frozenset({".h", ".json", ".py", ".pyc", ".pyi", ".so"})
_LONGEST = 80
"""Of a licence's name: some packages put the whole text there."""


def of_metadata(metadata: Message) -> tuple[str, ...]:
    """Return a wheel's licences, from the most exact of the fields that name them.

    https://packaging.python.org/specifications/core-metadata/#license-expression
    """
    expression = metadata["License-Expression"]
    if expression:
        return (str(expression),)
    text = str(metadata["License"] or "").strip()
    if text and text != "UNKNOWN" and "\n" not in text and len(text) <= _LONGEST:
        return (text,)
    classifiers = (str(each) for each in metadata.get_all("Classifier", []))
    return tuple(
        sorted({each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License")})
    )


def of_copyright(text: str) -> tuple[str, ...]:
    """Return the licences that a Debian package's copyright file names.

    Where it is not in the form that programs read, these are those of Debian's common licences
    that it refers to.

    https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/,
    https://www.debian.org/doc/debian-policy/ch-docs.html#copyright-information
    """
    if text.startswith("Format:"):
        return tuple(sorted({name.strip() for name in _FIELD.findall(text)}))
    # Python's own is none of the common ones.
    own = {"PSF-2.0"} if _PYTHON in text else set()
    return tuple(sorted({*_REFERENCE.findall(text), *own}))


def is_text(path: str) -> bool:
    """Tell whether a file of a wheel, or of a model, holds the text of a licence or a notice.

    Args:
        path: Below the site directory, or the model's.
    """
    directory, name = posixpath.split(path)
    if is_metadata(path) and "/licenses/" in f"{directory}/":
        return True
    return _TEXT.fullmatch(name) is not None and posixpath.splitext(name)[1] not in _CODE


def is_metadata(path: str) -> bool:
    """Tell whether a file of a wheel is in its `.dist-info` directory."""
    return path.partition("/")[0].endswith(".dist-info")
