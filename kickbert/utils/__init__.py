"""General utilities: atomic writes, optional packages, messages, progress, hashes, HTML pages."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "atomic_files": [],
        "cells": [],
        "devices": [],
        "extras": [],
        "hashing": [],
        "html_page": [],
        "hub": [],
        "lazy": [],
        "limits": [],
        "messages": [],
        "plotting": [],
        "processes": [],
        "progress": [],
        "sockets": [],
    },
)
