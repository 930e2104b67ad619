"""What has nothing to do with text or learning: whole files, optional packages, messages, progress, hashes, pages."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "atomic_files": [],
        "devices": [],
        "extras": [],
        "hashing": [],
        "html_page": [],
        "hub": [],
        "lazy": [],
        "messages": [],
        "plotting": [],
        "processes": [],
        "progress": [],
    },
)
