"""Which servers of SSH are trusted: those of the known_hosts files, as ``ssh`` has it."""

import os
from pathlib import Path

import paramiko

_FILES = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))


class KnownHosts(paramiko.MissingHostKeyPolicy):
    """Refuses a server whose key is in no known_hosts file, because an impostor would get the password."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Raises SSHException where the key is unknown or another one."""
        hosts = paramiko.HostKeys()
        for file in _FILES:
            if os.path.isfile(path := file.expanduser()):
                hosts.load(str(path))
        if hosts.check(hostname, key):
            return
        known = hosts.lookup(hostname)
        what = f"its key is another one than in known_hosts ({key.get_name()})" if known else "it is not in known_hosts"
        raise paramiko.SSHException(
            f"the server {hostname} is not trusted, because {what}: compare its key {key.fingerprint} and add it, for "
            "example with ssh-keyscan, or log in once with ssh"
        )
