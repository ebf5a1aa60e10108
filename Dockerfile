# syntax=docker/dockerfile:1
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY kms_core ./kms_core
COPY sseproxy ./sseproxy
RUN python -m venv /opt/sseproxy
RUN PIP_CONSTRAINT=constraints.txt /opt/sseproxy/bin/python -m pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin sseproxy \
    && install --directory --owner sseproxy --group sseproxy --mode 0700 /data
COPY --from=build /opt/sseproxy /opt/sseproxy
ENV PATH=/opt/sseproxy/bin:$PATH PYTHONUNBUFFERED=1 SSEPROXY_DATA=/data SSEPROXY_LISTEN=0.0.0.0:9000
USER 10001
VOLUME /data
EXPOSE 9000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9000/_/health/live', timeout=4)"]
ENTRYPOINT ["sseproxy"]
CMD ["serve"]
