"""img2dataset: it fetches each frame from a web server of this machine, resizes it and writes it. It runs no model.

Frames are written as files first, because it reads no video.

python -m benchmarks.peers.img2dataset_download ARCHIVE OUT
"""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from img2dataset import download

from benchmarks.peers.clips import write_frames

_SHARD = 32  # frames


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


def main() -> None:
    """The command."""
    archive, out = sys.argv[1:]
    frames = write_frames(archive, Path(out) / "frames")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=f"{out}/frames"))
    Thread(target=server.serve_forever, daemon=True).start()
    urls = Path(out) / "urls.txt"
    urls.write_text("\n".join(f"http://127.0.0.1:{server.server_port}/{path.name}" for path in frames), "utf-8")
    download(
        url_list=str(urls),
        output_folder=f"{out}/rows",
        output_format="parquet",
        image_size=448,
        number_sample_per_shard=_SHARD,
        processes_count=1,
        thread_count=2,
        distributor="multiprocessing",
    )
    server.shutdown()


if __name__ == "__main__":
    main()
