"""What each page's kernel runs first."""

import os
import warnings
from pathlib import Path

from IPython import get_ipython

from kickbert.utils import progress

get_ipython().run_line_magic("matplotlib", "inline")  # which a fork of kernels.py does not find out by itself
Path("data").symlink_to(os.environ["KICKBERT_SAMPLES"], target_is_directory=True)
progress.interactive = lambda: False  # a bar that is gone at the end leaves an empty box on a page
warnings.filterwarnings("ignore", message="IProgress not found")  # of transformers' bars, which nobody sees here
warnings.formatwarning = lambda message, category, *_, **__: f"{category.__name__}: {message}\n"  # no temporary paths
