# Two stages: the first one installs, the second one has neither pip nor the sources.
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# First what others wrote, pinned by hash: these layers stay when our own code changes.
COPY deploy/image ./
RUN python -m venv --without-pip /opt/anomaly-cache \
    && python -m pip --python /opt/anomaly-cache/bin/python install --require-hashes --requirement requirements.txt
RUN python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --require-hashes --requirement requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY coherence coherence
COPY service service
COPY listener listener
COPY sql sql
COPY anomaly_cache anomaly_cache
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . \
    && python -m pip --python /opt/anomaly-cache/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.11-slim
LABEL org.opencontainers.image.title="anomaly-cache" \
      org.opencontainers.image.description="A Postgres + Redis read cache that cannot quietly go stale" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/anomaly-cache /opt/anomaly-cache
ENV PATH=/opt/anomaly-cache/bin:$PATH PYTHONUNBUFFERED=1
# An empty directory of no importance, and a number instead of a name: some platforms insist on one.
WORKDIR /srv
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["anomaly-cache"]
CMD ["api"]
