"""Startup code of each page's kernel."""

import os
import warnings
from pathlib import Path

from IPython import get_ipython

from kickbert.utils import progress

get_ipython().run_line_magic("matplotlib", "inline")  # a fork of kernels.py does not detect it
Path("data").symlink_to(os.environ["KICKBERT_SAMPLES"], target_is_directory=True)
progress.interactive = lambda: False  # a progress bar would leave an empty box on the page
warnings.filterwarnings("ignore", message="IProgress not found")  # no progress bars of transformers
warnings.formatwarning = lambda message, category, *_, **__: f"{category.__name__}: {message}\n"  # no temporary paths
