# What `nox -s bench -- build --only emulation` measures against: the usual way to an image of another
# platform. Every RUN is executed on the target platform, under emulation. Never used for an image.
FROM start
ENV DEBIAN_FRONTEND=noninteractive
# What base-passwd's own script does: other packages' scripts look for groups of Debian's.
RUN cp /usr/share/base-passwd/passwd.master /etc/passwd && cp /usr/share/base-passwd/group.master /etc/group
RUN --network=none \
    --mount=type=bind,from=debs,target=/debs \
    dpkg --install --force-depends --force-unsafe-io /debs/*.deb
RUN --network=none \
    --mount=type=bind,from=wheels,target=/wheels \
    --mount=type=bind,from=lock,target=/lock \
    python3 -m pip install --no-index --find-links /wheels --require-hashes --no-cache-dir \
        --break-system-packages --root-user-action=ignore --requirement /lock/requirements.txt
COPY --from=service . /opt/equivec/service/
COPY backend.py /opt/equivec/backend/
COPY --from=model . /opt/equivec/model/
ENV PYTHONPATH=/opt/equivec/service:/opt/equivec/backend
USER 65532:65532
ENTRYPOINT ["/usr/bin/python3", "-m", "embedding_service"]
