# Tamis with everything for clusters but a GPU: docker build -t tamis . && docker run -v "$PWD:/work" tamis run CONFIG
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY stages stages
COPY pipeline pipeline
COPY configs configs
RUN python -m venv /opt/tamis \
    && /opt/tamis/bin/pip install --no-cache-dir -c constraints.txt '.[cluster,code,dedup,extract]'

FROM python:3.12-slim
COPY --from=build /opt/tamis /opt/tamis
ENV PATH=/opt/tamis/bin:$PATH NUMBA_CACHE_DIR=/tmp/numba
WORKDIR /work
USER nobody
ENTRYPOINT ["tamis"]
CMD ["--help"]
