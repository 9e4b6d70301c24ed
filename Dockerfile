# signals, its core and its plugins. What it runs is mounted at /etc/signals, or copied there:
#
#     FROM signals
#     COPY project /etc/signals
#     RUN signals config validate /etc/signals
#
# Without --listen on another address only the health check can see it, from inside.

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY signals_core ./signals_core
COPY plugins ./plugins
# An environment without pip, made of wheels: what is not needed to run stays in this stage.
# What is installed was built the line before:
# hadolint ignore=DL3013
RUN pip wheel --quiet --no-cache-dir --wheel-dir /wheels . ./plugins/signals_mongo ./plugins/signals_postgres ./plugins/signals_vector \
 && python -m venv --without-pip /opt/signals \
 && pip --python /opt/signals/bin/python install --quiet --no-cache-dir --no-index --find-links /wheels signals-core signals-mongo signals-postgres signals-vector

FROM python:3.13-slim
LABEL org.opencontainers.image.title="signals" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --system --gid 10001 signals \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/signals --shell /usr/sbin/nologin signals \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/signals \
 && install -d /etc/signals
COPY --from=build /opt/signals /opt/signals
ENV PATH=/opt/signals/bin:$PATH \
    SIGNALS_STATE_DIR=/var/lib/signals
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /etc/signals
VOLUME /var/lib/signals
EXPOSE 9464
STOPSIGNAL SIGTERM
# http.client asks no proxy. Where --listen names another port, the check must too.
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-Ic", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 9464, timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["signals"]
CMD ["run", "/etc/signals", "--wait-lock", "60s", "--log-format", "json", "--listen", "127.0.0.1:9464"]
