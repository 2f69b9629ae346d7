"""Where things are: in the checkout, and in an image."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout that this package is part of."""

SITE = "usr/local/lib/python3.11/dist-packages"
"""Where wheels are unpacked, relative to the image's root."""

EQUIVEC = "opt/equivec"
"""Where everything that is Equivec's own is, relative to the image's root."""

MODEL = f"{EQUIVEC}/model"
INVENTORY = f"{EQUIVEC}/inventory.cdx.json"
THIRD_PARTY = f"{EQUIVEC}/THIRD-PARTY"
"""What an image says of itself: for programs, and for people."""

CODE = (f"{EQUIVEC}/backend", f"{EQUIVEC}/service")
