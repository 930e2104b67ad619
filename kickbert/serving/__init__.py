"""A saved model as an HTTP service.

Input: model folders and requests. Output: predictions as JSON, a web page, metrics. Start reading at `app.create_app`,
then `service.Service`, which answers requests in batches."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "app": ["create_app"],
        "server": ["serve"],
        "settings": ["Settings"],
        "service": ["Service"],
        "batcher": ["Batcher"],
        "json_limits": [],
        "csv_files": [],
        "schemas": [],
        "errors": [],
        "middleware": [],
        "telemetry": [],
    },
)
