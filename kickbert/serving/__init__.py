"""The serving wing: a predictor → HTTP.

Comes in: requests. Goes out: predictions as JSON, a page for people, metrics. Start reading at `app.create_app`, then
`service.Service`, which answers requests that come together in one batch."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "app": ["create_app"],
        "server": ["serve"],
        "settings": ["Settings"],
        "service": ["Service"],
        "batcher": ["Batcher"],
        "parsing": [],
        "csv_files": [],
        "schemas": [],
        "middleware": [],
        "telemetry": [],
    },
)
