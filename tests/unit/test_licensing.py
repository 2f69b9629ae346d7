"""Licences: as packages name them, and the files that hold their texts."""

from __future__ import annotations

from email.parser import HeaderParser

import pytest

from builders.inventory import licensing

FORM = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


@pytest.mark.parametrize(
    ("metadata", "licences"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: other\n", ("MIT OR Apache-2.0",)),
        ("License: Apache 2.0\n", ("Apache 2.0",)),
        (
            f"License: {'long ' * 20}\nClassifier: License :: OSI Approved :: MIT License\n",
            ("MIT License",),
        ),
        (
            "License: UNKNOWN\nClassifier: License :: OSI Approved :: ISC License (ISCL)\n",
            ("ISC License (ISCL)",),
        ),
        ("Classifier: Programming Language :: Python\n", ()),
        ("License: UNKNOWN\n", ()),
        ("", ()),
    ],
)
def test_a_wheels_licence_is_what_its_metadata_says_best(
    metadata: str, licences: tuple[str, ...]
) -> None:
    assert licensing.of_metadata(HeaderParser().parsestr(metadata)) == licences


@pytest.mark.parametrize(
    ("text", "licences"),
    [
        (
            f"{FORM}\nFiles: *\nLicense: Zlib\n\nFiles: a\nLicense: GPL-2+\n\nLicense: Zlib\n x\n",
            ("GPL-2+", "Zlib"),
        ),
        ("See `/usr/share/common-licenses/LGPL-2.1'.\n", ("LGPL-2.1",)),
        (
            "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n/usr/share/common-licenses/GPL-2.\n",
            ("GPL-2", "PSF-2.0"),
        ),
        ("Do what you like.\n", ()),
    ],
)
def test_a_debian_packages_licences_are_those_of_its_copyright_file(
    text: str, licences: tuple[str, ...]
) -> None:
    assert licensing.of_copyright(text) == licences


@pytest.mark.parametrize(
    "path",
    [
        "demo-1.0.dist-info/LICENSE",
        "demo-1.0.dist-info/licenses/AUTHORS",
        "demo-1.0.dist-info/licenses/vendor/http-parser/LICENSE-MIT",
        "demo/LICENCE.md",
        "demo/linalg/lapack_lite/LICENSE.txt",
        "numpy/_core/src/multiarray/dragon4_LICENSE.txt",
        "onnxruntime/ThirdPartyNotices.txt",
        "scipy/spatial/qhull_src/COPYING_QHULL.txt",
        "sklearn/svm/src/liblinear/COPYRIGHT",
        "NOTICE",
    ],
)
def test_texts_of_licences_are_known_by_their_names(path: str) -> None:
    assert licensing.is_text(path)


@pytest.mark.parametrize(
    "path",
    [
        "demo/licence.py",
        "demo/__pycache__/licence.cpython-311.pyc",
        "demo/noticed.txt",
        "demo/licensed/readme.txt",
        "demo-1.0.dist-info/METADATA",
        "demo-1.0.dist-info/RECORD",
        "demo/copyrights.json",
    ],
)
def test_other_files_are_no_texts(path: str) -> None:
    assert not licensing.is_text(path)
