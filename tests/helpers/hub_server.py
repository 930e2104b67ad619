"""A local stand-in for the Hugging Face Hub: the endpoints for writing and reading a repository."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

TOKEN = "hf_right_to_write"


def sha(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serve repositories (bytes of each file by name); writing needs the token."""

    def log_message(self, *args) -> None:
        """Print nothing."""

    def reply(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_json(self, value, status: int = 200, **headers: str) -> None:
        self.reply(json.dumps(value).encode(), status, Content_Type="application/json", **headers)

    @property
    def commit(self) -> str:
        return sha(repr(sorted(self.server.repositories.items())).encode())

    def do_POST(self) -> None:
        path, home = urlparse(self.path).path, f"http://{self.headers['Host']}"
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if path == "/api/validate-yaml":
            return self.reply_json({})
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.reply_json({"error": "Invalid username or password."}, 401)
        if path == "/api/repos/create":
            name = "{organization}/{name}".format(**json.loads(body))
            self.server.repositories.setdefault(name, {".gitattributes": b""})
            return self.reply_json({"url": f"{home}/{name}", "name": name})
        name, files = "/".join(path.split("/")[3:5]), self.server.repositories["/".join(path.split("/")[3:5])]
        if "/preupload/" in path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]
            return self.reply_json({"files": modes})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del files[line["value"]["path"]]
        self.reply_json({"commitOid": self.commit, "commitUrl": f"{home}/{name}/commit/{self.commit}"})

    def do_GET(self) -> None:
        parts = unquote(urlparse(self.path).path).strip("/").split("/")
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        files = self.server.repositories.get(name)
        if files is None:
            return self.reply_json({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        if parts[0] == "api" and "tree" in parts:
            listed = [
                {"type": "file", "path": p, "size": len(b), "oid": hashlib.sha1(b).hexdigest()}
                for p, b in files.items()
            ]
            return self.reply_json(listed)
        if parts[0] == "api":
            siblings = [{"rfilename": p} for p in files]
            return self.reply_json({"id": name, "sha": self.commit, "private": False, "tags": [], "siblings": siblings})
        content = files.get("/".join(parts[4:]))
        if content is None:
            return self.reply_json(
                {"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit=self.commit
            )
        self.reply(content, ETag=f'"{sha(content)}"', X_Repo_Commit=self.commit)

    def do_HEAD(self) -> None:
        self.do_GET()


@contextmanager
def serving():
    """The server, with a dict `repositories`, and its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.repositories = {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
