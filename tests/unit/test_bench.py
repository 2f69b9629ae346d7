from __future__ import annotations

import sys
from pathlib import Path

import pytest

from builders import project, verdict
from builders.bench import build, claims, cold, emulated, page, record, service_change
from builders.bench.claim import Claim
from builders.bench.emulated import Baseline, Timed
from builders.bench.record import Figure, Machine, Measured, Record
from builders.commands import bench
from builders.engine import Engine, Versions
from builders.errors import BenchError, ProcessError, SelectionError
from builders.files import tree_digests
from builders.lock import debian as debian_lock
from builders.paths import ROOT
from builders.verdict import Environment, Inputs, Subject, Verdict

MACHINE = Machine(platform="linux/amd64", system="Debian", cpu="A CPU", cores=2, load=0.25)
FASTER = Claim(name="a", text="A", unit="s", limit=480, target=240)
ABOVE = Claim(name="a", text="A", unit="", better="higher", target=5)


def measured(measurement: str, *figures: Figure) -> Measured:
    return Measured(
        measurement=measurement,
        command=f"nox -s bench -- build --only {measurement}",
        taken="2026-11-21T14:00:00Z",
        revision="0123456789ab",
        machine=MACHINE,
        figures=figures,
    )


def figure(value: float) -> Figure:
    return Figure(claim="a", value=value)


def at_least(value: float) -> Figure:
    return Figure(claim="a", value=value, bound="at least")


class TestStanding:
    def test_a_target_is_met_up_to_its_very_value(self) -> None:
        assert page.standing(FASTER, figure(240)) == "met"
        assert page.standing(ABOVE, figure(5)) == "met"

    def test_a_missed_target_is_said_even_within_the_limit(self) -> None:
        assert page.standing(FASTER, figure(240.1)) == "within the limit, **target missed**"

    def test_a_missed_limit_is_said(self) -> None:
        assert page.standing(FASTER, figure(480.1)) == "**missed**"
        assert page.standing(ABOVE, figure(4.99)) == "**missed**"

    def test_what_was_cut_off_shows_what_it_reached_and_no_more(self) -> None:
        assert page.standing(ABOVE, at_least(6)) == "met"
        assert page.standing(ABOVE, at_least(4)) == "**not shown**: it was cut off"
        assert page.standing(FASTER, at_least(1)) == "**missed**"

    def test_a_figure_of_which_nothing_is_asked_has_none(self) -> None:
        assert page.standing(Claim(name="a", text="A", unit="s"), figure(1)) == ""


class TestPage:
    def test_it_depends_on_the_record_alone(self) -> None:
        one, other = (
            measured("cold", Figure(claim="seconds", value=300)),
            measured("rebuild", Figure(claim="bytes", value=0)),
        )
        first = Record().including("build", one).including("build", other)
        second = Record().including("build", other).including("build", one)
        assert page.page(first, claims.SUITES) == page.page(second, claims.SUITES)

    def test_a_missed_target_stands_in_the_summary_and_in_its_section(self) -> None:
        found = Record().including("build", measured("cold", Figure(claim="seconds", value=300)))
        text = page.page(found, claims.SUITES)
        assert "| cold run, engine included | 300 s | ≤ 240 s | within the limit, **target" in text
        assert "| cold run, engine included | 300 s |  | ≤ 480 s | ≤ 240 s | within the" in text

    def test_it_says_command_machine_date_and_revision(self) -> None:
        found = Record().including("build", measured("cold", Figure(claim="seconds", value=300)))
        text = page.page(found, claims.SUITES)
        for words in (
            "`nox -s bench -- build --only cold`",
            "A CPU, 2 cores, linux/amd64, Debian",
            "load of the machine before it began: 0.25",
            "2026-11-21T14:00:00Z, revision 0123456789ab",
        ):
            assert words in text

    def test_what_was_never_measured_is_said(self) -> None:
        text = page.page(Record(), claims.SUITES)
        assert text.count("Not measured yet") == sum(
            len(measurements) for measurements in claims.SUITES.values()
        )
        assert "| cold run, engine included | not measured | ≤ 240 s | |" in text

    def test_a_lower_bound_is_called_one(self) -> None:
        assert page.value(at_least(45.2), "s") == "at least 45.2 s"

    def test_numbers_keep_the_digits_they_deserve(self) -> None:
        numbers = (0.0, 0.456, 1.304, 48.42, 61.7, 240, 312.4)
        shown = [page.number(number) for number in numbers]
        assert shown == ["0", "0.46", "1.30", "48.4", "61.7", "240", "312"]

    def test_a_terminal_gets_a_line_for_each_figure(self) -> None:
        found = measured("cold", Figure(claim="seconds", value=500))
        assert list(page.lines(found, claims.BUILD)) == [
            "cold run, engine included: 500 s (≤ 240 s: missed)"
        ]

    def test_the_committed_page_is_the_record_s(self) -> None:
        documents = ROOT / "docs"
        committed = (documents / "benchmarks.md").read_text(encoding="utf-8")
        assert committed == page.page(record.read(documents / "benchmarks.json"), claims.SUITES)


class TestRecord:
    def test_a_new_result_takes_the_place_of_the_old_and_of_no_other(self, tmp_path: Path) -> None:
        old = (
            Record()
            .including("build", measured("cold", figure(1)))
            .including("build", measured("size", figure(2)))
        )
        record.write(
            old.including("build", measured("cold", figure(3))), tmp_path / "benchmarks.json"
        )
        found = record.read(tmp_path / "benchmarks.json")
        assert [each.measurement for each in found.build] == ["cold", "size"]
        assert [each.figures[0].value for each in found.build] == [3, 2]

    def test_without_a_file_it_is_empty(self, tmp_path: Path) -> None:
        assert record.read(tmp_path / "benchmarks.json") == Record()

    def test_a_malformed_one_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "benchmarks.json"
        path.write_text('{"schema_version": 2}')
        with pytest.raises(BenchError, match="malformed"):
            record.read(path)


class TestMeasurements:
    def test_every_claimed_one_can_be_taken(self) -> None:
        assert list(bench.MEASUREMENTS) == list(claims.SUITES)
        for suite, known in bench.MEASUREMENTS.items():
            assert list(known) == [each.name for each in claims.SUITES[suite]]

    def test_they_are_selected_by_name(self) -> None:
        assert bench.selected("ratio, cold,ratio", "build") == ("ratio", "cold")

    @pytest.mark.parametrize("text", ["", ",", "cold,ratoi"])
    def test_an_unknown_name_is_refused(self, text: str) -> None:
        with pytest.raises(SelectionError, match="is no measurement"):
            bench.selected(text, "build")

    def test_the_nearest_name_is_told(self) -> None:
        with pytest.raises(SelectionError, match="ratio"):
            bench.selected("ratoi", "build")

    def test_the_ratio_is_of_the_medians(self) -> None:
        amd64, arm64, ratio = build.ratio_figures([10, 30, 20], [26, 24, 90])
        assert (amd64.value, arm64.value, ratio.value) == (20, 26, 1.3)
        assert arm64.samples == (26, 24, 90)

    def test_a_finished_baseline_gives_a_quotient(self) -> None:
        figures = build.emulation_figures([10, 20, 30], Timed(seconds=300, finished=True))
        assert [(each.claim, each.value, each.bound) for each in figures] == [
            ("ours", 20, "exact"),
            ("emulated", 300, "exact"),
            ("ratio", 15, "exact"),
        ]

    def test_a_baseline_that_was_cut_off_gives_a_lower_bound(self) -> None:
        figures = build.emulation_figures([20], Timed(seconds=900, finished=False))
        assert [each.bound for each in figures] == ["exact", "at least", "at least"]


class TestCold:
    def test_the_command_is_the_readme_s(self) -> None:
        command = cold.main_command((ROOT / "README.md").read_text(encoding="utf-8"))
        assert command.startswith("python3 -m venv ")
        assert command.endswith(" -s build-matrix")

    def test_a_readme_without_it_is_refused(self) -> None:
        with pytest.raises(BenchError, match="holds 0"):
            cold.main_command("```sh\nnox -s tests\n```\n")

    def test_two_of_them_are_refused(self) -> None:
        with pytest.raises(BenchError, match="holds 2"):
            cold.main_command(2 * "```sh\nnox -s build-matrix\n```\n")

    def test_nothing_of_this_environment_is_used(self, tmp_path: Path) -> None:
        ours = Path(sys.executable).parent
        found = cold.bare_environment(
            {"PATH": f"{ours}:/usr/bin", "VIRTUAL_ENV": "x", "HOME": "/h", "EQUIVEC_CACHE": "/c"},
            tmp_path,
        )
        assert found == {
            "PATH": "/usr/bin",
            "HOME": "/h",
            "EQUIVEC_CACHE": str(tmp_path / "cache"),
            "XDG_CACHE_HOME": str(tmp_path / "user-cache"),
            "PIP_NO_CACHE_DIR": "1",
        }


class TestBaseline:
    def test_it_is_built_for_the_target_platform_without_cache_or_network(self) -> None:
        baseline = Baseline(
            platform="linux/arm64",
            directory=Path("/backend"),
            contexts={"wheels": "/wheels", "debs": "/debs"},
        )
        assert emulated.command(baseline, Path("/out")) == (
            *("docker", "buildx", "build", "--platform", "linux/arm64"),
            *("--file", str(emulated.DOCKERFILE), "--network", "none", "--provenance", "false"),
            *("--progress", "plain", "--no-cache", "--output", "type=oci,tar=false,dest=/out"),
            *("--build-context", "debs=/debs", "--build-context", "wheels=/wheels", "/backend"),
        )

    def test_no_instruction_of_it_is_executed_on_the_build_platform(self) -> None:
        assert "BUILDPLATFORM" not in emulated.DOCKERFILE.read_text(encoding="utf-8")

    def test_only_locked_packages_count_as_present(self) -> None:
        lock = debian_lock.read(ROOT / "images" / "base", "linux/arm64")
        assert set(emulated.PRESENT) <= {package.name for package in lock.root}


class TestTimedBaseline:
    """A script stands for docker: how long it takes and how it ends is all that counts here."""

    BASELINE = Baseline(platform="linux/arm64", directory=Path("/backend"), contexts={})

    @pytest.fixture
    def program(self, tmp_path: Path) -> Path:
        (tmp_path / "bin").mkdir()
        return tmp_path / "bin" / "docker"

    def engine(self, program: Path, script: str) -> Engine:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return Engine(
            kind="named",
            host="",
            environment={"PATH": f"{program.parent}:/usr/bin:/bin"},
            native="linux/amd64",
            platforms=("linux/amd64",),
            versions=Versions(docker="", buildx="", buildkit="", containerd="", runc="", qemu=""),
        )

    def test_one_that_ends_is_timed(self, program: Path) -> None:
        used = self.engine(program, "sleep 0.2")
        timed = emulated.time_build(self.BASELINE, used, Path("/out"), limit=60)
        assert timed.finished
        assert 0.2 <= timed.seconds < 60

    def test_one_that_takes_too_long_is_cut_off(self, program: Path) -> None:
        used = self.engine(program, "exec sleep 60")
        timed = emulated.time_build(self.BASELINE, used, Path("/out"), limit=0.3)
        assert not timed.finished
        assert 0.3 <= timed.seconds < 60

    def test_one_that_fails_is_no_measurement(self, program: Path) -> None:
        used = self.engine(program, "echo dpkg failed >&2; exit 1")
        with pytest.raises(ProcessError, match="dpkg failed"):
            emulated.time_build(self.BASELINE, used, Path("/out"), limit=60)


class TestPublished:
    """What a cold run leaves is counted; what did not pass is no measurement."""

    VERDICT = Verdict(
        cell="a-cell",
        backend="a",
        model="cell",
        vector_space="",
        precision="float32",
        dimension=1,
        passed=True,
        subject=Subject(
            name="",
            platform="",
            digest="",
            config_digest="",
            diff_ids=(),
            compressed_bytes=0,
            compressed_bytes_without_model=0,
        ),
        inputs=Inputs(
            debian_lock="",
            drift=(),
            wheel_lock="",
            built_wheels={},
            model="",
            epoch=0,
            corpus="",
            suite="",
        ),
        environment=Environment(host="", cpu="", build_platform="", engine={}, execution="native"),
        components=(),
        checks=(),
        seconds={},
        finished="",
    )

    def test_what_passed_is_counted(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            verdict.write(self.VERDICT.model_copy(update={"cell": name}), tmp_path)
        assert cold.published(tmp_path) == 2

    def test_one_that_failed_is_named(self, tmp_path: Path) -> None:
        verdict.write(self.VERDICT, tmp_path)
        verdict.write(
            self.VERDICT.model_copy(update={"cell": "another", "passed": False}), tmp_path
        )
        with pytest.raises(BenchError, match="did not publish every image") as caught:
            cold.published(tmp_path)
        assert caught.value.where == "another"

    def test_nothing_is_no_success(self, tmp_path: Path) -> None:
        with pytest.raises(BenchError, match="did not publish"):
            cold.published(tmp_path)


class TestServiceChange:
    def test_every_image_of_the_default_selection_is_meant(self) -> None:
        found = service_change.image_cells(project.load())
        assert {cell.platform for cell in found} == {"linux/amd64", "linux/arm64"}
        assert {cell.model for cell in found} == {"fixture-768"}
        assert {cell.backend for cell in found} == {
            "llama-cpp",
            "onnxruntime",
            "sentence-transformers",
        }

    def test_the_checkout_itself_is_not_changed(self, tmp_path: Path) -> None:
        ours = project.load()
        before = tree_digests(ours.images / "service")
        copy = service_change.changed_copy(ours, tmp_path / "checkout")
        assert tree_digests(copy.images / "service") == before
        seen = [before]
        for _ in range(2):
            service_change.change(copy)
            seen.append(tree_digests(copy.images / "service"))
        assert len({frozenset(each.items()) for each in seen}) == 3
        assert tree_digests(ours.images / "service") == before
