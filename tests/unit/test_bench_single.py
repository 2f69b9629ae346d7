from __future__ import annotations

from pathlib import Path

import pytest

from builders.bench import single, start
from builders.bench.single import Repeated, Subject
from builders.errors import BenchError


def repeated(variant: str, *milliseconds: float) -> Repeated:
    return Repeated(
        runtime={"cpu_variant": variant},
        seconds=tuple(each / 1e3 for each in milliseconds),
        tokens=12,
    )


class TestCompared:
    def test_the_quotient_is_the_median_of_each_round_s(self) -> None:
        rounds = [
            (repeated("zen4", 3, 2, 9), repeated("native", 1)),
            (repeated("zen4", 40), repeated("native", 39)),
            (repeated("zen4", 4), repeated("native", 4)),
        ]
        one, other, quotient = single.compared(("ours", "default", "ratio"), rounds)
        assert (one.subject, one.value, one.samples) == ("zen4, 12 tokens", 4, (2, 40, 4))
        assert (other.subject, other.value) == ("native, 12 tokens", 4)
        assert (quotient.subject, quotient.value) == ("12 tokens", 1.026)

    def test_variants_that_do_not_differ_are_refused(self) -> None:
        haswell, zen4 = repeated("haswell", 1), repeated("zen4", 1)
        single.refuse_same_variant([(haswell, zen4)])
        for pair in ((haswell, haswell), (zen4, zen4), (zen4, haswell)):
            with pytest.raises(BenchError, match="the variants taken were"):
                single.refuse_same_variant([(haswell, zen4), pair])


class TestSubject:
    SUBJECT = Subject(
        python=Path("/v/bin/python"),
        model=Path("/m"),
        path=(Path("/s"), Path("/b")),
        text="a",
        warm=3,
        times=10,
    )

    def test_one_thread_computes_and_no_setting_of_the_user_s_counts(self) -> None:
        found = self.SUBJECT.environment({"PATH": "/bin", "OMP_NUM_THREADS": "8", "HOME": "/h"})
        assert found == {
            "HOME": "/h",
            "PATH": "/bin",
            "EMBEDDING_MODEL_DIR": "/m",
            "EMBEDDING_THREADS": "1",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": "/s:/b",
        }

    def test_it_runs_the_script_of_this_package(self) -> None:
        assert self.SUBJECT.argv == ("/v/bin/python", str(single.SCRIPT), "3", "10")
        assert single.SCRIPT.is_file()


class TestOnlyVariant:
    @pytest.fixture
    def python(self, tmp_path: Path) -> Path:
        package = tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / "llama_cpp"
        (package / "lib").mkdir(parents=True)
        for name in ("libggml-cpu-haswell.so", "libggml-cpu-zen4.so", "libllama.so"):
            (package / "lib" / name).write_text(name)
        (package / "__init__.py").touch()
        return tmp_path / "venv" / "bin" / "python"

    def test_it_is_the_package_without_the_other_variants(
        self, python: Path, tmp_path: Path
    ) -> None:
        target = single.only_variant(python, "haswell", tmp_path / "alone")
        assert sorted(
            path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()
        ) == [
            "llama_cpp/__init__.py",
            "llama_cpp/lib/libggml-cpu-haswell.so",
            "llama_cpp/lib/libllama.so",
        ]


class TestStart:
    def test_the_client_is_a_program(self) -> None:
        compile(start.CLIENT.format(limit=5), "client", "exec")
