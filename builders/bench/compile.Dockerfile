# What `nox -s bench -- build --only wheel` measures: the wheel stage's compilers at work on some files of
# a wheel, natively and across, then the other platform's own compiler under emulation on some of the
# same files. `toolchain` is the stage's root file system, `foreign` the target platform's own; the main
# context is the recipe. Nothing of it goes into a wheel.
ARG SOURCE_DATE_EPOCH

FROM --platform=$BUILDPLATFORM toolchain AS cross
ARG SOURCE_DATE_EPOCH
ARG PLAN
RUN --network=none \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=bind,from=bench,source=compile.py,target=/bench/compile.py \
    --mount=type=bind,from=tools,source=build_wheel.py,target=/bench/build_wheel.py \
    --mount=type=bind,from=requirements,target=/requirements \
    --mount=type=bind,from=source,target=/source \
    --mount=type=bind,target=/recipe \
    ["/usr/bin/python3", "/bench/compile.py", "cross"]

FROM --platform=$TARGETPLATFORM foreign AS emulated
ARG PLAN
RUN --network=none \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=bind,from=bench,source=compile.py,target=/bench/compile.py \
    --mount=type=bind,from=tools,source=build_wheel.py,target=/bench/build_wheel.py \
    --mount=type=bind,from=cross,source=/build,target=/build,rw \
    ["/usr/bin/python3", "/bench/compile.py", "emulated"]

FROM scratch
COPY --from=cross /out/ /
COPY --from=emulated /out/ /
