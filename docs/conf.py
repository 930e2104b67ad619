"""Configuration of the guide: `make -C docs html` builds it without network and runs every code cell on it."""

import json
import os
import subprocess
import sys
import tempfile
from functools import partialmethod
from pathlib import Path

from nbclient import NotebookClient

import kickbert

HERE = Path(__file__).parent

project = "kickbert"
version = release = kickbert.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "startup"]
root_doc = "index"
default_role = "code"  # docstrings write `name` as Markdown does
templates_path: list[str] = []

html_theme = "pydata_sphinx_theme"
html_title = "kickbert"
html_theme_options = {"show_prev_next": True, "navigation_with_keys": False, "secondary_sidebar_items": ["page-toc"]}
# Pages without subpages would have an empty sidebar.
html_sidebars = {page: [] for page in ("index", "start", "how_it_works", "coming_from", "results", "changelog")}
html_show_sourcelink = False
html_copy_source = False

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
suppress_warnings = ["myst.xref_missing"]  # files outside the guide; make_check.py looks at all links

nb_execution_mode = "force"  # pages show what this version printed
nb_execution_in_temp = True
nb_execution_timeout = 600  # seconds per cell; slow machines run seven pages on two cores
# As long for the start of a kernel, for which myst-nb has no setting; nbclient gives up after a minute.
NotebookClient.__init__ = partialmethod(NotebookClient.__init__, startup_timeout=nb_execution_timeout)
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
napoleon_use_param = False  # one line of Args may name several arguments
napoleon_use_rtype = False

# The kernels start in an empty folder: IPython's startup file links the samples there as `data`.
kernels = tempfile.mkdtemp(prefix="kickbert-guide-")
profile = Path(kernels) / "profile_default" / "startup"
profile.mkdir(parents=True)
(profile / "kernel.py").write_text((HERE / "startup" / "kernel.py").read_text(encoding="utf-8"), encoding="utf-8")
os.environ |= {
    "IPYTHONDIR": kernels,
    "KICKBERT_SAMPLES": str(HERE.parent / "data"),
    "HF_HUB_OFFLINE": "1",
    "TQDM_DISABLE": "1",
    "OMP_NUM_THREADS": "1",  # pages run in parallel, one thread each
    "COLUMNS": "110",  # width of the command line's tables
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
}

# On Linux all kernels are forks of one process (startup/kernels.py); elsewhere each imports for itself.
if sys.platform == "linux":
    script, address = str(HERE / "startup" / "kernels.py"), str(Path(kernels) / "socket")
    spec = {"argv": [sys.executable, script, "start", address, "-f", "{connection_file}"], "language": "python"}
    folder = Path(kernels) / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec | {"display_name": "Python 3"}), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = kernels
    server = subprocess.Popen([sys.executable, script, "serve", address], stdin=subprocess.PIPE)  # ends with us
