"""What is claimed of the service: the figures, their bounds, and how each is measured."""

from __future__ import annotations

from builders.bench.claim import Claim, Measurement

_THROUGHPUT = (
    "`POST /embed` of the service with onnxruntime, against onnxruntime and tokenizers called"
    " directly by a program that has nothing of the service: the same wheels, file and texts, the"
    " same tokens, pooling and unit length. One thread computes in both. Every text has 16 tokens,"
    " so that padding is nobody's advantage; 512 different ones are asked in turn. The library is"
    " called with the batch size that was fastest of 1, 2, 4 … 64 in this run. The service is asked"
    " by 32 clients, each with one connection and one text at a time, from a process of its own on"
    " this machine: HTTP, JSON and the clients use the second processor, which the library leaves"
    " alone. Library and service are measured in turn in slices of {slices} texts; the figures are"
    " medians of the slices, the quotient that of each round's. The processor's time is that of all"
    " of the service, HTTP included, over that of the library. Then one client asks one text at a"
    " time, and the library is called with one text at a time."
)


def _throughput(name: str, title: str, *, slices: int, target: float) -> Measurement:
    return Measurement(
        name=name,
        title=title,
        method=_THROUGHPUT.format(slices=slices),
        claims=(
            Claim(name="library", text="the library, texts a second", unit=""),
            Claim(name="service", text="the service at 32 clients, texts a second", unit=""),
            Claim(
                name="ratio",
                text="the service at 32 clients over the library",
                unit="",
                better="higher",
                target=target,
            ),
            Claim(name="processor", text="processor's time, service over library", unit=""),
            Claim(name="alone", text="the library with one text, median", unit="ms"),
            Claim(name="one", text="the service at one client, median", unit="ms"),
            Claim(
                name="added",
                text="what the service adds to one text, median",
                unit="ms",
                target=3,
            ),
        ),
    )


SERVE = (
    _throughput(
        "throughput",
        "The service against its library: a real model's shape",
        slices=192,
        target=0.95,
    ),
    _throughput(
        "throughput-small",
        "The service against its library: the small fixture",
        slices=1536,
        target=0.90,
    ),
    Measurement(
        name="infinity",
        title="Against infinity-emb",
        method=(
            "`POST /v1/embeddings`, one text of 16 tokens a request, 32 clients: the service with"
            " onnxruntime against infinity-emb with torch, its usual engine, from a virtual"
            " environment of its own (`builders/bench/peers/infinity`, locked with hashes). Both"
            " serve fixture-bert-384 from a local directory, the same weights as ONNX and as"
            " safetensors; before anything is timed, their vectors of eight texts must be alike"
            " (distance 1e-3), and every answer must be 200. One thread computes in each (in"
            " infinity-emb by OMP_NUM_THREADS and MKL_NUM_THREADS); each has the second processor"
            " for HTTP, and the clients. Both run all the time and are asked in turn, in slices of"
            " 768 answers after one that does not count; the figures are medians, the quotient"
            " that of each round's.\n\n"
            "Of infinity-emb's settings, its cache of answers is off, since texts come again; its"
            " batch size is its default, 32; BetterTransformer is off: its extras `server` and"
            " `torch` do not install what that needs; torch.compile is off: in a trial with it,"
            " infinity-emb took 50 s to start, and the quotient was the same within the noise. The"
            " model is small: with a large one, both servers come closer to what their libraries"
            " take, and so to each other as far as torch and onnxruntime are equally fast."
        ),
        claims=(
            Claim(name="ours", text="the service, texts a second", unit=""),
            Claim(name="theirs", text="infinity-emb, texts a second", unit=""),
            Claim(
                name="ratio",
                text="the service over infinity-emb",
                unit="",
                better="higher",
                target=1.3,
            ),
        ),
    ),
    Measurement(
        name="llama-cpp-server",
        title="Against llama-cpp-python's server",
        method=(
            "As above: the service with llama-cpp against the server that llama-cpp-python brings"
            " along (`python -m llama_cpp.server`), from a virtual environment of its own"
            " (`builders/bench/peers/llama-cpp-server`, locked with hashes) with the very library"
            " of our wheel, its variant for this processor loaded. Both serve fixture-768's GGUF"
            " file in float32 with one thread that computes and the same context of 2048 tokens."
            " Neither computes texts together."
        ),
        claims=(
            Claim(name="ours", text="the service, texts a second", unit=""),
            Claim(name="theirs", text="llama-cpp-python's server, texts a second", unit=""),
            Claim(
                name="ratio",
                text="the service over llama-cpp-python's server",
                unit="",
                better="higher",
                target=1,
            ),
        ),
    ),
    Measurement(
        name="ready",
        title="Start of the service",
        method=(
            "The service with onnxruntime and fixture-768 on this host, from the start of its"
            " process to the moment at which a client holds the whole answer to its first `POST"
            " /embed`: Python, the libraries, verifying and loading the model and its self-check"
            " are included. The client asks every 5 ms. The first start, which reads files from the"
            " disk and leaves Python's compiled code, is not counted: the images have that code."
            " Median of five."
        ),
        claims=(Claim(name="seconds", text="start to first vector", unit="s", target=1.5),),
    ),
    Measurement(
        name="lengths",
        title="Short texts among long ones",
        method=(
            "The service with onnxruntime and fixture-768, one thread: 8 clients ask texts of one"
            " word (3 tokens with the special ones), first alone, then while 16 others ask texts of"
            " 512 tokens; 2000 short answers each time. The longest batch is one such text, with"
            " all tokens of the service's default budget, computed by the library directly, 101"
            " times. Its times spread too, so a p99 is held against the p99 of them; the quotient"
            " with their median is given beside it. In turn, five times; the figures are medians,"
            " the quotients those of each round's."
        ),
        claims=(
            Claim(name="alone", text="p99 of short texts alone", unit="ms"),
            Claim(name="typical", text="the longest batch, median", unit="ms"),
            Claim(name="batch", text="the longest batch, p99", unit="ms"),
            Claim(name="among", text="p99 of short texts among long ones", unit="ms"),
            Claim(
                name="ratio",
                text="p99 among long ones over p99 alone plus the longest batch's p99",
                unit="",
                target=1,
            ),
            Claim(
                name="ratio-typical",
                text="the same over p99 alone plus the longest batch's median",
                unit="",
            ),
        ),
    ),
    Measurement(
        name="soak",
        title="One hundred thousand requests",
        method=(
            "The service with onnxruntime and fixture-768, one thread, asked by 32 clients: 500"
            " different texts of 3 to 13 tokens, in batches as they come. Each vector is compared"
            " with the one that the library gave for that text alone, before: a number that is more"
            " than 1e-5 away makes it wrong. A request without an answer, or with another status"
            " than 200, is lost. Memory is the resident memory of the process after every 5,000"
            " answers; the largest is compared with that after the first 10,000."
        ),
        claims=(
            Claim(name="answers", text="answers", unit=""),
            Claim(name="lost", text="requests lost", unit="", target=0),
            Claim(name="wrong", text="wrong vectors", unit="", target=0),
            Claim(name="memory", text="resident memory after the warm-up", unit="MB"),
            Claim(name="growth", text="growth of memory after the warm-up", unit="%", target=5),
        ),
    ),
    Measurement(
        name="sigterm",
        title="SIGTERM under load",
        method=(
            "The service with onnxruntime and fixture-768, asked by 32 clients without a pause;"
            " after 400 answers the process gets SIGTERM, while the clients go on. A request that"
            " was sent before the signal and has no whole answer is lost. One that was sent after"
            " it may meet a closed connection, which counts as refused: it was never accepted."
            " Five times, each with exit status 0."
        ),
        claims=(
            Claim(name="answers", text="answers", unit=""),
            Claim(name="lost", text="accepted requests lost", unit="", target=0),
            Claim(name="refused", text="requests refused after the signal", unit=""),
        ),
    ),
)
"""Every measurement of `nox -s bench -- serve`, in the page's order."""
