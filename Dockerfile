# Timbrel in a container: the page is built in the first stage, what runs needs no compiler.
#
#   docker build -t timbrel .
#   docker run --rm -v "$PWD:/music" timbrel render song.mid
#   docker run --rm -p 8765:8765 timbrel serve --host 0.0.0.0
FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN make page \
    && .venv/bin/pip wheel --no-cache-dir --no-deps -w /wheels .

FROM python:3.11-slim-bookworm
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && rm -rf /wheels
RUN useradd --create-home musician
USER musician
WORKDIR /music
ENTRYPOINT ["timbrel"]
CMD ["--help"]
