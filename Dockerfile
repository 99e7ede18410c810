ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS base
ENV VIRTUAL_ENV=/opt/liverec
ENV PATH=${VIRTUAL_ENV}/bin:${PATH} \
    PYTHONUNBUFFERED=1

FROM base AS build
WORKDIR /src
RUN python -m venv "$VIRTUAL_ENV"
COPY . .

FROM build AS build-trainer
# An index with CPU builds of torch spares gigabytes of GPU libraries.
ARG TORCH_INDEX_URL=
# pyproject.toml has the versions.
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} '.[train,audio]'

FROM build AS build-service
# As above.
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install '.[audio]'

FROM base AS runtime
# A fixed uid, so that the files in a volume belong to the same user in both images.
RUN groupadd --gid 10001 liverec \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin liverec \
    && install --directory --owner=liverec --group=liverec /bundles /data
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
