from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from builders.bench import compile as compiling
from builders.bench import sizes, wheel
from builders.bench.wheel import Compiled, CompiledFile, Inputs
from builders.errors import BenchError
from builders.matrix import load
from builders.paths import ROOT
from builders.wheelhouse import recipe as recipes


def entry(target: str, file: str = "a.cpp") -> dict[str, str]:
    return {"output": f"ggml/CMakeFiles/{target}.dir/{file}.o", "file": f"/source/{file}"}


def compiled(architecture: str, group: str, file: str, seconds: float) -> CompiledFile:
    return CompiledFile(architecture=architecture, group=group, file=file, seconds=seconds)


def cross(*, base: float, second: float) -> Compiled:
    """Twenty files beside the variants, two of which were compiled, and a file of each variant."""
    files = [
        file
        for architecture, index in (("amd64", 0), ("arm64", 1))
        for file in (
            compiled(architecture, "base", "/a", 2 + index * base),
            compiled(architecture, "base", "/b", 2 + index * base),
            compiled(architecture, wheel.PAIRS[0][index], "/v", 60),
            compiled(architecture, wheel.PAIRS[1][index], "/v", 60 + index * second),
        )
    ]
    return Compiled(base_files=20, files=tuple(files))


class TestGroup:
    def test_a_variant_s_files_are_told_by_their_target(self) -> None:
        assert compiling.group(entry("ggml-cpu-armv8.2_2")) == "armv8.2_2"
        assert compiling.group(entry("ggml-cpu-armv8.2_2-feats")) == "armv8.2_2"

    @pytest.mark.parametrize("target", ["ggml", "ggml-base", "ggml-cpu", "llama"])
    def test_all_others_are_every_wheel_s(self, target: str) -> None:
        assert compiling.group(entry(target)) == compiling.BASE

    def test_the_names_are_those_of_the_wheel_s_libraries(self) -> None:
        document = recipes.read(ROOT / "images" / "llama-cpp", "llama-cpp-python").document
        assert document.dispatched == ("llama_cpp/lib/libggml-cpu-*.so",)


class TestSample:
    def test_it_is_every_nth_file_by_size(self, tmp_path: Path) -> None:
        for size in range(10):
            (tmp_path / f"{9 - size}").write_bytes(bytes(size))
        files = [str(path) for path in tmp_path.iterdir()]
        assert [Path(file).stat().st_size for file in compiling.sample(files, 4)] == [2, 6]

    def test_the_platforms_must_have_the_same_files_beside_variants(self) -> None:
        amd64 = [entry("llama", "a"), entry("ggml-cpu-sse42", "x86")]
        arm64 = [entry("ggml-cpu-armv8.0_1", "arm"), entry("llama", "a")]
        assert compiling.common_files([amd64, arm64]) == ["/source/a"]
        with pytest.raises(SystemExit, match="not made of the same files: /source/b"):
            compiling.common_files([amd64, [*arm64, entry("llama", "b")]])

    def test_a_variant_is_compiled_whole_and_the_rest_as_sampled(self) -> None:
        entries = [entry("llama", "a"), entry("llama", "b"), entry("ggml-cpu-haswell", "a")]
        assert compiling.chosen_entries(entries, ["/source/b"], ["haswell"]) == entries[1:]

    def test_a_variant_that_is_not_there_is_refused(self) -> None:
        with pytest.raises(SystemExit, match="no variant haswell"):
            compiling.chosen_entries([entry("llama")], [], ["haswell"])


class TestCompile:
    def test_the_source_is_configured_with_the_recipe_s_settings(self) -> None:
        found = compiling.configure_argv(
            {"cmake.build-type": "Release", "install.strip": "true", "cmake.define.A": "/r/x"},
            Path("/source"),
            Path("/objects"),
        )
        assert found[3:] == (
            *("-S", "/source", "-B", "/objects", "-G", "Ninja"),
            *("-DCMAKE_BUILD_TYPE=Release", "-DA=/r/x", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"),
        )

    def test_the_processor_time_of_what_a_compiler_starts_counts(self, tmp_path: Path) -> None:
        busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
        taken = compiling.seconds(
            {
                "directory": str(tmp_path),
                "output": "made/a.o",
                "command": f"sh -c '{busy}; sleep 0.3; exit 0'",
            }
        )
        assert taken > 0.01
        assert (tmp_path / "made").is_dir()
        idle = {"directory": str(tmp_path), "output": "made/a.o", "command": "sleep 0.3"}
        assert compiling.seconds(idle) < 0.2

    def test_what_does_not_compile_is_no_measurement(self, tmp_path: Path) -> None:
        broken = {"directory": str(tmp_path), "output": "a.o", "command": "false", "file": "/a"}
        with pytest.raises(SystemExit, match="does not compile: /a"):
            compiling.seconds(broken)

    def test_without_emulation_nothing_of_it_would_run_on_the_target(self) -> None:
        stages = wheel.DOCKERFILE.read_text(encoding="utf-8").split("\nFROM ")[1:]
        assert [stage.split("\n")[0] for stage in stages] == [
            "--platform=$BUILDPLATFORM toolchain AS cross",
            "--platform=$TARGETPLATFORM foreign AS emulated",
            "scratch",
        ]

    def test_it_is_built_without_cache_or_network(self) -> None:
        used = Inputs(recipe=Path("/recipe"), contexts={"tools": "/tools", "bench": "/bench"})
        assert wheel.command(used, {"every": 3}, epoch=5, destination=Path("/out")) == (
            *("docker", "buildx", "build", "--platform", "linux/arm64"),
            *("--file", str(wheel.DOCKERFILE), "--network", "none", "--provenance", "false"),
            *("--progress", "plain", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=5"),
            *("--build-arg", 'PLAN={"every": 3}', "--output", "type=local,dest=/out"),
            *("--build-context", "bench=/bench", "--build-context", "tools=/tools", "/recipe"),
        )


class TestFigures:
    def test_a_wheel_is_a_variant_and_the_sample_times_the_number_of_files(self) -> None:
        assert wheel.one_variant_seconds(cross(base=0, second=0), "haswell") == 20 * 2 + 60

    def test_each_pair_has_its_quotient(self) -> None:
        emulated = Compiled(
            base_files=0,
            files=(compiled("arm64", "base", "/a", 21), compiled("arm64", "armv8.2_2", "/v", 633)),
        )
        found = wheel.figures(cross(base=1, second=3), emulated)
        assert [(each.claim, each.subject, each.value) for each in found] == [
            ("native", "sse42", 100),
            ("cross", "armv8.0_1", 120),
            ("ratio", "armv8.0_1 over sse42", 1.2),
            ("native", "haswell", 100),
            ("cross", "armv8.2_2", 123),
            ("ratio", "armv8.2_2 over haswell", 1.23),
            ("cross-sample", "", 66),
            ("emulated-sample", "", 654),
            ("emulated", "", 9.91),
        ]

    def test_a_variant_that_was_not_compiled_is_no_measurement(self) -> None:
        with pytest.raises(BenchError, match="nothing was compiled"):
            wheel.one_variant_seconds(cross(base=1, second=3), "zen4")


class TestSizes:
    def test_a_wheel_of_one_variant_lacks_the_others_content(self, tmp_path: Path) -> None:
        path = tmp_path / "a.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("lib/liba-one.so", bytes(1000))
            archive.writestr("lib/liba-two.so", bytes(400))
            archive.writestr("lib/liba.so", bytes(5000))
        whole = path.stat().st_size
        assert sizes.sizes_alone(path, ("lib/liba-*.so",)) == {
            "lib/liba-one.so": whole - 400,
            "lib/liba-two.so": whole - 1000,
        }

    def test_a_size_is_claimed_of_each_backend_of_the_default_selection(self) -> None:
        assert set(sizes.IMAGES) == set(load(ROOT / "matrix.yaml").default.backends)
