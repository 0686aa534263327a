# Three images, one target each, for the chart and for `docker run`:
#
#   jobs       scrape, generate, curate, post, status, migrations      (mynah, scrapers, jobs, simulators)
#   training   dataset and train, alone or in a Ray cluster            (mynah, training)
#   serving    the model server                                        (mynah, serving)
#
#   docker build --target jobs -t mynah/jobs .
#   docker build --target training --build-arg TORCH_INDEX=… -t mynah/training .
#
# They run as user 10001 and need no writable root: mount something writable on /var/lib/mynah (HOME and
# MYNAH_HOME) and on /tmp, and bot files on /etc/mynah/bots. Probes are the chart's, so there is no HEALTHCHECK.
ARG PYTHON=python:3.11-slim

# What each extra of pyproject.toml asks for, so that other changes to that file install nothing anew.
FROM ${PYTHON} AS requirements
WORKDIR /requirements
COPY pyproject.toml constraints.txt requirements-no-deps.txt ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    [open(f'{name}.txt', 'w').write('\n'.join([*p['dependencies'], *extra, ''])) \
     for name, extra in p['optional-dependencies'].items()]"

# The virtual environment has no pip of its own: the base image's fills it. Each image installs in its last stage, because
# the base has no build tools to leave behind, and copying gigabytes from stage to stage takes longer than pip.
FROM ${PYTHON} AS runtime
# The script has a guard because processes that it spawns import it.
RUN python -m venv --without-pip /opt/venv \
 && printf '#!/opt/venv/bin/python\nfrom mynah.cli import main\n\nif __name__ == "__main__":\n    main()\n' > /opt/venv/bin/mynah \
 && chmod 755 /opt/venv/bin/mynah \
 && echo /opt/mynah > "$(/opt/venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/mynah.pth" \
 && mkdir -p /var/lib/mynah /etc/mynah/bots && chown 10001:10001 /var/lib/mynah
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 \
    HOME=/var/lib/mynah MYNAH_HOME=/var/lib/mynah MYNAH_BOTS=/etc/mynah/bots \
    PIP_CACHE_DIR=/root/.cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
LABEL org.opencontainers.image.source="https://github.com/mynah-bot/mynah" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim"
WORKDIR /opt/requirements
COPY --from=requirements /requirements/constraints.txt ./

# The source, compiled here because nothing can be at run time. These are the layers that a change to one file rebuilds.
FROM ${PYTHON} AS jobs-source
WORKDIR /opt/mynah
COPY mynah mynah
COPY scrapers scrapers
COPY jobs jobs
COPY simulators simulators
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${PYTHON} AS training-source
WORKDIR /opt/mynah
COPY mynah mynah
COPY training training
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${PYTHON} AS serving-source
WORKDIR /opt/mynah
COPY mynah mynah
COPY serving serving
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM runtime AS jobs
LABEL org.opencontainers.image.title="mynah jobs" \
      org.opencontainers.image.description="What runs and exits: scrape, generate, curate, post, status"
COPY --from=requirements /requirements/scrapers.txt /requirements/jobs.txt /requirements/simulators.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip --python /opt/venv/bin/python install -c constraints.txt -r scrapers.txt -r jobs.txt -r simulators.txt
WORKDIR /var/lib/mynah
COPY --from=jobs-source /opt/mynah /opt/mynah
USER 10001:10001
ENTRYPOINT ["mynah"]

FROM runtime AS training
LABEL org.opencontainers.image.title="mynah training" \
      org.opencontainers.image.description="Datasets and fine-tuning with Ray Train"
ARG TORCH_INDEX=
RUN --mount=type=cache,target=/root/.cache/pip pip --python /opt/venv/bin/python install \
    -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch==2.13.0
# A Ray cluster takes jobs and scales its workers with what ray[default] adds.
COPY --from=requirements /requirements/training.txt /requirements/requirements-no-deps.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip --python /opt/venv/bin/python install -c constraints.txt -r training.txt 'ray[default]==2.60.0' \
 && pip --python /opt/venv/bin/python install --no-deps -r requirements-no-deps.txt
WORKDIR /var/lib/mynah
COPY --from=training-source /opt/mynah /opt/mynah
USER 10001:10001
ENTRYPOINT ["mynah"]

FROM runtime AS serving
LABEL org.opencontainers.image.title="mynah serving" \
      org.opencontainers.image.description="A KServe model server with OpenVINO"
COPY --from=requirements /requirements/serving.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip --python /opt/venv/bin/python install -c constraints.txt -r serving.txt
WORKDIR /var/lib/mynah
COPY --from=serving-source /opt/mynah /opt/mynah
USER 10001:10001
ENTRYPOINT ["mynah"]
