# To pin it by digest: --build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:… (docs/operations.md). The locks are for 3.11.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS base
ENV VIRTUAL_ENV=/opt/liverec
ENV PATH=${VIRTUAL_ENV}/bin:${PATH} \
    PYTHONUNBUFFERED=1

FROM base AS build
WORKDIR /src
COPY requirements requirements
# pip and setuptools stand in an environment of their own, which no image holds.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv "$VIRTUAL_ENV.build" \
    && "$VIRTUAL_ENV.build/bin/pip" install --no-deps --only-binary=:all: --require-hashes -r requirements/build.txt \
    && python -m venv --without-pip "$VIRTUAL_ENV"
ENV PATH=${VIRTUAL_ENV}.build/bin:${PATH}

FROM build AS build-trainer
# An index with CPU builds of torch spares gigabytes of GPU libraries; those builds have a lock of their own.
ARG TORCH_INDEX_URL=
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python "$VIRTUAL_ENV" install --no-deps --only-binary=:all: --require-hashes -r requirements/trainer.txt \
    && pip --python "$VIRTUAL_ENV" install --no-deps --only-binary=:all: --require-hashes \
        ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} -r "requirements/torch${TORCH_INDEX_URL:+-cpu}.txt"
COPY . .
# Neither step asks an index; the last one fails where a lock lacks something.
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
    && pip --python "$VIRTUAL_ENV" install --no-cache-dir --no-deps --no-index wheels/*.whl \
    && pip --python "$VIRTUAL_ENV" check \
    && find "$VIRTUAL_ENV/lib" -type d -name tests -prune -exec rm -rf {} +

FROM build AS build-service
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python "$VIRTUAL_ENV" install --no-deps --only-binary=:all: --require-hashes -r requirements/service.txt
COPY . .
# As above.
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
    && pip --python "$VIRTUAL_ENV" install --no-cache-dir --no-deps --no-index wheels/*.whl \
    && pip --python "$VIRTUAL_ENV" check \
    && find "$VIRTUAL_ENV/lib" -type d -name tests -prune -exec rm -rf {} +

FROM base AS runtime
# A fixed uid, so that the files in a volume belong to the same user in both images.
RUN python -m pip uninstall --yes pip setuptools wheel \
    && groupadd --gid 10001 liverec \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin liverec \
    && install --directory --owner=liverec --group=liverec /archive /bundles /data
USER 10001:10001

FROM runtime AS trainer
COPY configs /configs
COPY --from=build-trainer ${VIRTUAL_ENV} ${VIRTUAL_ENV}
CMD ["liverec", "train", "--out", "/bundles/current", "--cache", "/data"]

FROM runtime AS service
COPY --from=build-service ${VIRTUAL_ENV} ${VIRTUAL_ENV}
ENV LIVEREC_HOST=0.0.0.0 \
    LIVEREC_PORT=8000 \
    LIVEREC_BUNDLE=/bundles/current \
    LIVEREC_VAR=/tmp/liverec
EXPOSE 8000
STOPSIGNAL SIGTERM
# Not urlopen: it would ask a proxy, where one is set.
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os; call = http.client.HTTPConnection('127.0.0.1', int(os.environ['LIVEREC_PORT']), timeout=2); call.request('GET', '/health/ready'); raise SystemExit(call.getresponse().status != 200)"]
CMD ["liverec", "serve"]
