"""What is claimed of builds: the figures, their bounds, and how each is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One figure, and what it has to be.

    Attributes:
        name: Unique within its measurement.
        text: What it is, for people.
        unit: Such as `s`; empty for a ratio.
        better: Which way is better.
        limit: What it must reach; None if only the target counts.
        target: What it should reach; None for a figure that only explains another.
    """

    name: str
    text: str
    unit: str
    better: Literal["lower", "higher"] = "lower"
    limit: float | None = None
    target: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Figures that are measured together.

    Attributes:
        name: What `--only` takes.
        title: A heading.
        method: How it is measured, and what speaks for or against the figures.
        claims: The figures, in the page's order.
    """

    name: str
    title: str
    method: str
    claims: tuple[Claim, ...]

    def claim(self, name: str) -> Claim:
        """Return a claim by its name."""
        return next(claim for claim in self.claims if claim.name == name)


BUILD = (
    Measurement(
        name="cold",
        title="Cold: from a bare machine to published images",
        method=(
            "The README's main command, as it stands there, in a fresh clone of the measured"
            " revision, with an empty cache and without pip's: it makes the virtual environment,"
            " installs nox and the orchestrator's requirements, downloads the private engine's"
            " packages and every locked input, builds, proves and publishes both platforms. The"
            " clone itself is not counted. Downloads are as fast as the measuring machine's"
            " mirrors: a slower line costs more. Where the machine has a Docker engine of its own,"
            " that is used, and no private one is made."
        ),
        claims=(
            Claim(
                name="seconds",
                text="cold run, engine included",
                unit="s",
                limit=480,
                target=240,
            ),
        ),
    ),
    Measurement(
        name="ratio",
        title="linux/arm64 against linux/amd64",
        method=(
            "From locked inputs in the store to the image's layout: the root file system is"
            " composed of the Debian packages, then the base image and the backend's image are"
            " built. One build at a time, platforms alternating, three times each; the figures are"
            " medians. Nothing is taken from earlier builds: the engine is a fresh one, BuildKit's"
            " cache is off, and every build bears another epoch, so that no layer's compression can"
            " be reused. Downloads, tests, and the making of the fixture model are not counted."
        ),
        claims=(
            Claim(name="amd64", text="build of linux/amd64", unit="s"),
            Claim(name="arm64", text="build of linux/arm64", unit="s"),
            Claim(name="ratio", text="linux/arm64 over linux/amd64", unit="", target=1.3),
        ),
    ),
    Measurement(
        name="size",
        title="Size of the images",
        method=(
            "The compressed layers without the model's, of the images of the default selection, as"
            " their verdicts state it after `nox -s build-matrix`. 1 MB is 10^6 bytes."
        ),
        claims=(
            Claim(
                name="megabytes",
                text="compressed image without the model",
                unit="MB",
                limit=80,
                target=60,
            ),
        ),
    ),
    Measurement(
        name="unchanged",
        title="Nothing changed",
        method=(
            "The wall time of each command, nox included, after a run that has passed; medians of"
            " five."
        ),
        claims=(
            Claim(name="build-matrix", text="`nox -s build-matrix`", unit="s", target=5),
            Claim(name="plan", text="`nox -s plan`", unit="s", target=1),
        ),
    ),
    Measurement(
        name="emulation",
        title="Against a plain Dockerfile under emulation",
        method=(
            "`builders/bench/emulated.Dockerfile` installs the same locked Debian packages (`dpkg"
            " --install`) and the same locked wheels (`pip install --require-hashes`) for"
            " linux/arm64 with every instruction executed under the same engine's qemu, then copies"
            " service, backend and model. The builder has no network and there is no registry, so"
            " its starting image is unpacked from bookworm's packages: the locked ones and what"
            " dpkg and pip need. It is given 15 minutes; what is cut off then counts as `at least`."
            "\n\n"
            "In the baseline's favour (it would take longer in practice): making its starting image"
            " is not counted, while ours begins with .deb files, and what a Debian image to start"
            " from has (libc6 and ten others) is not installed again; nothing is downloaded, apt's"
            " own work (lists, dependencies) is left out; dpkg does not sync to disk"
            " (`--force-unsafe-io`) and ignores dependencies (`--force-depends`, since nothing"
            " records what the starting image holds); its layers are compressed with gzip at the"
            " builder's default level, ours with zstd at level 19; nothing is pruned, normalised or"
            " checked. Against it: dpkg unpacks files that the starting image already holds, and"
            " removes none of them. About half of its time goes into one script, that of"
            " ca-certificates, which hashes each certificate under emulation: with an image to"
            " start from that has those already, it would be that much faster. It is measured once,"
            " ours three times (median)."
        ),
        claims=(
            Claim(name="ours", text="build of linux/arm64 as Equivec does it", unit="s"),
            Claim(name="emulated", text="the plain Dockerfile under emulation", unit="s"),
            Claim(
                name="ratio",
                text="the plain Dockerfile over ours",
                unit="",
                better="higher",
                target=5,
            ),
        ),
    ),
    Measurement(
        name="rebuild",
        title="Bit for bit",
        method=(
            "What `nox -s rebuild` does: the images of the default selection are made once more"
            " from the locked inputs, by a private engine that has built nothing, in another"
            " directory and under another umask, and compared with those that are kept. Counted are"
            " the bytes of manifest, configuration and layers that the kept image does not have."
        ),
        claims=(Claim(name="bytes", text="differing bytes after a rebuild", unit="B", target=0),),
    ),
)
"""Every measurement of `nox -s bench -- build`, in the page's order."""
