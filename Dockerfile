# A service for an exported model (kickbert export), with ONNX Runtime and without torch.
#
#     docker build -t kickbert .
#     docker run -p 8000:8000 -e KICKBERT_API_KEY=… -v ./models/k:/model:ro kickbert

FROM python:3.12-slim AS build
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY kickbert kickbert
RUN pip wheel --quiet --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
COPY container/requirements.txt /requirements.txt
RUN pip install --quiet --no-cache-dir -r /requirements.txt
COPY --from=build /wheels /wheels
RUN pip install --quiet --no-cache-dir --no-deps /wheels/*.whl
RUN useradd --uid 10001 --create-home kickbert
USER kickbert
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/ready', timeout=4)"
STOPSIGNAL SIGTERM
CMD ["kickbert", "serve", "/model", "--host", "0.0.0.0", "--port", "8000"]
