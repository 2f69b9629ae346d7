"""What is claimed of builds: the figures, their bounds, and how each is measured."""

from __future__ import annotations

from collections.abc import Mapping

from builders.bench.claim import Claim, Measurement
from builders.bench.record import Suite
from builders.bench.serve.claims import SERVE
from builders.bench.trust_claims import TRUST

BUILD = (
    Measurement(
        name="cold",
        title="Cold: from a bare machine to published images, one backend",
        method=(
            "The README's main command for one backend (`-- --backend onnxruntime`: nothing has to"
            " be compiled for it) and the default selection's model, in a fresh clone of the"
            " measured revision, with an empty cache and without pip's: it makes the virtual"
            " environment, installs nox and the orchestrator's requirements, downloads the private"
            " engine's packages and every locked input, builds, proves and publishes both"
            " platforms. The clone itself is not counted. Downloads are as fast as the measuring"
            " machine's mirrors: a slower line costs more. Where the machine has a Docker engine of"
            " its own, that is used, and no private one is made."
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
        name="cold-default",
        title="Cold: the default selection",
        method=(
            "As above, with the README's main command as it stands: every backend of the default"
            " selection, on both platforms. llama-cpp-python's wheels are compiled for both."
        ),
        claims=(
            Claim(name="seconds", text="cold run of the default selection", unit="s", target=900),
        ),
    ),
    Measurement(
        name="cold-all",
        title="Cold: everything",
        method=(
            "As above, with `-- --all`: every cell of the matrix that can run on this machine."
            " Models that a hub has are left out, since none was fetched."
        ),
        claims=(Claim(name="seconds", text="cold run of every cell", unit="s", target=2400),),
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
            " their verdicts state it after `nox -s build-matrix`; and the wheels of"
            " llama-cpp-python that were compiled for these images. 1 MB is 10^6 bytes.\n\n"
            "A wheel of one variant is not made: its size is the wheel's without the compressed"
            " content of the other variants' libraries, as the archive's directory states it (their"
            " entries in that directory and in RECORD, about 200 bytes each, are left in). The"
            " variant named is the largest."
        ),
        claims=(
            Claim(
                name="onnxruntime",
                text="compressed image without the model",
                unit="MB",
                limit=80,
                target=60,
            ),
            Claim(
                name="llama-cpp",
                text="compressed image without the model",
                unit="MB",
                limit=60,
                target=45,
            ),
            Claim(
                name="sentence-transformers",
                text="compressed image without the model",
                unit="MB",
                limit=260,
                target=220,
            ),
            Claim(name="wheel", text="wheel with all variants", unit="MB", target=12),
            Claim(name="one-variant", text="wheel of one variant", unit="MB", target=3),
        ),
    ),
    Measurement(
        name="wheel",
        title="Wheels compiled across",
        method=(
            "llama-cpp-python in the wheel stage's own root file system, its source prepared and"
            " configured by the stage's own program for linux/amd64 and linux/arm64, and compiled"
            " by the very commands that CMake writes for it: all files of two variants of each"
            " platform (the oldest processors': sse42 and armv8.0_1; those with AVX2: haswell, and"
            " with fp16 and dot products: armv8.2_2), and of the files that every wheel has beside"
            " its variants every tenth, ordered by size. Those are the same files for both"
            " platforms; a variant's differ by what is written for its processor. Counted is the"
            " processor time of the compiler and its children, user and system, as the kernel"
            " accounts for it. One file at a time, platforms alternating file by file. A wheel of"
            " one variant is the variant's files and the others' mean times their number;"
            " configuring and linking are left out.\n\n"
            "Emulated compilation: every fourth of the same linux/arm64 files (those of armv8.2_2"
            " and the others, ordered by size) compiled once more, in the same run and by the same"
            " commands, in the root file system that the stage has on linux/arm64: the same version"
            " of gcc, as an arm64 program under the engine's qemu. The quotient is that of the same"
            " files' processor time."
        ),
        claims=(
            Claim(name="native", text="one variant compiled for linux/amd64", unit="s"),
            Claim(name="cross", text="one variant compiled for linux/arm64", unit="s"),
            Claim(name="ratio", text="compiled across over natively", unit="", target=1.3),
            Claim(name="cross-sample", text="representative files compiled across", unit="s"),
            Claim(name="emulated-sample", text="the same files under emulation", unit="s"),
            Claim(
                name="emulated",
                text="compiled under emulation over across",
                unit="",
                better="higher",
                target=5,
            ),
        ),
    ),
    Measurement(
        name="start",
        title="Start of a container",
        method=(
            "llama-cpp with fixture-768, natively: from the request to the engine to create and"
            " start the container to the moment at which a client holds the whole answer to its"
            " first `POST /embed`: the engine's work, the start of Python, loading libraries and"
            " verifying and loading the model are included. The client is a program in a second"
            " container that is there before and lends the first one its loopback interface; it"
            " asks every 10 ms until it is answered. The image is loaded in the engine, and its"
            " files are in the machine's memory but for the first start. Median of five."
        ),
        claims=(
            Claim(name="seconds", text="container start to first embedding", unit="s", target=1.5),
        ),
    ),
    Measurement(
        name="single",
        title="One text at a time with llama.cpp",
        method=(
            "`backend.py` on this host, one thread computing, one text embedded again and again in"
            " a process of its own: the fastest of its times, since whatever else the machine does"
            " can only add to it. Two wheels in turn, seven processes each; the figures are medians"
            " of those, the quotient that of each round's. Everything but the wheel is the same:"
            " interpreter, other wheels, program, model.\n\n"
            "First the image's wheel, with the variant that it takes here, against the wheel that"
            " `pip` compiles on this machine from the same source archive with no setting at all"
            " (GGML_NATIVE, OpenMP where it is found): fixture-768, a short text. Then Q8_0 on"
            " nomic-768-twin, a fixture of a real model's shape (12 layers): the image's wheel as"
            " it is against the same without any variant but haswell (AVX2)."
        ),
        claims=(
            Claim(name="ours", text="our wheel", unit="ms"),
            Claim(name="default", text="the default wheel", unit="ms"),
            Claim(name="ratio", text="our wheel over the default wheel", unit="", target=1.05),
            Claim(name="avx2", text="Q8_0, AVX2 alone", unit="ms"),
            Claim(name="best", text="Q8_0, the best variant", unit="ms"),
            Claim(
                name="gain",
                text="Q8_0, AVX2 alone over the best variant",
                unit="",
                better="higher",
                target=1.05,
            ),
        ),
    ),
    Measurement(
        name="threads",
        title="Two services on two processors",
        method=(
            "`backend.py` of llama-cpp on this host with the image's wheel and fixture-768, one"
            " short text embedded 300 times; two such processes at a time, first with one thread"
            " each, then with two. The figures are medians of all times of both, over five rounds;"
            " the quotient is each round's. Threads that wait for each other by spinning, as ggml's"
            " own do, keep a processor from the one that they wait for; OpenMP's go to sleep."
        ),
        claims=(
            Claim(name="one", text="two services, one thread each", unit="ms"),
            Claim(name="two", text="two services, two threads each", unit="ms"),
            Claim(name="ratio", text="two threads each over one thread each", unit="", target=4),
        ),
    ),
    Measurement(
        name="unchanged",
        title="Nothing changed",
        method=(
            "The wall time of each command, nox included, for the default selection, after a run"
            " that has passed; medians of five."
        ),
        claims=(
            Claim(name="build-matrix", text="`nox -s build-matrix`", unit="s", target=5),
            Claim(name="plan", text="`nox -s plan`", unit="s", target=1),
        ),
    ),
    Measurement(
        name="all-unchanged",
        title="Nothing changed, every cell",
        method=(
            "The same with `--all`: every cell of the matrix that can run on this machine, after a"
            " run of them that has passed; the median of five."
        ),
        claims=(Claim(name="seconds", text="`nox -s build-matrix -- --all`", unit="s", target=8),),
    ),
    Measurement(
        name="service-change",
        title="A change to the service's code",
        method=(
            "Every image of the default selection is built, then a line of the service is changed"
            " in a copy of images/, and every image is built again from that, two at a time, as"
            " `nox -s build-matrix` does it; the builder's cache is that of an engine that has"
            " built the images before. Tests of the images are not counted. Median of three"
            " changes."
        ),
        claims=(Claim(name="seconds", text="every image rebuilt", unit="s", target=60),),
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
            "What `nox -s rebuild` does: onnxruntime's images of the default selection are made"
            " once more from the locked inputs, by a private engine that has built nothing, in"
            " another directory and under another umask, and compared with those that are kept."
            " Counted are the bytes of manifest, configuration and layers that the kept image does"
            " not have."
        ),
        claims=(Claim(name="bytes", text="differing bytes after a rebuild", unit="B", target=0),),
    ),
    *TRUST,
)
"""Every measurement of `nox -s bench -- build`, in the page's order."""

SUITES: Mapping[Suite, tuple[Measurement, ...]] = {"build": BUILD, "serve": SERVE}
"""All that is claimed."""
