"""An SFTP server over a folder, on loopback."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
from paramiko import SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface


class _Anybody(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if password == "word" else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


def _interface(root: Path) -> type[SFTPServerInterface]:
    def told(path: Path, name: str = "", follow: bool = True) -> SFTPAttributes:
        return SFTPAttributes.from_stat(path.stat() if follow else path.lstat(), name or path.name)

    class File(SFTPHandle):
        def __init__(self, path: Path, flags: int) -> None:
            super().__init__(flags)
            self.readfile = open(path, "rb")  # noqa: SIM115  # closed with the handle

        def stat(self):
            return SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))

    class Folder(SFTPServerInterface):
        def _at(self, path: str) -> Path:
            return root / self.canonicalize(path).lstrip("/")

        def list_folder(self, path: str):
            try:
                return [told(entry, follow=False) for entry in self._at(path).iterdir()]
            except OSError as error:
                return SFTPServer.convert_errno(error.errno or 0)

        def stat(self, path: str):
            try:
                return told(self._at(path))
            except OSError as error:
                return SFTPServer.convert_errno(error.errno or 0)

        lstat = stat

        def open(self, path: str, flags: int, attr: SFTPAttributes):
            try:
                return File(self._at(path), flags)
            except OSError as error:
                return SFTPServer.convert_errno(error.errno or 0)

    return Folder


@contextmanager
def sftp_server(root: Path, known_hosts: Path) -> Iterator[str]:
    """``sftp://ann@127.0.0.1:PORT`` while it runs; her password is "word". Its key comes into ``known_hosts``."""
    key, listener = paramiko.RSAKey.generate(2048), socket.create_server(("127.0.0.1", 0))
    known_hosts.parent.mkdir(parents=True, exist_ok=True)
    known_hosts.write_text(f"[127.0.0.1]:{listener.getsockname()[1]} {key.get_name()} {key.get_base64()}\n")
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            transport = paramiko.Transport(connection)
            transports.append(transport)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", SFTPServer, _interface(root))
            transport.start_server(server=_Anybody())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"sftp://ann@127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for transport in transports:
        transport.close()
    thread.join()
