"""How this machine reaches its package sources: read when a stand-in image is made, and written down nowhere else."""

import configparser
import os
import ssl
import subprocess
from pathlib import Path

from tests.compose.saying import TryError

PIP_FILES = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
PIP_OPTIONS = ("index-url", "extra-index-url", "proxy", "trusted-host")


def pip_options() -> dict[str, str]:
    """Return pip's options for finding packages: from its files, then from its environment.

    Indexes that are directories of this machine are left out: a container does not see them.
    """
    parser = configparser.ConfigParser(interpolation=None)
    parser.read([os.environ.get("PIP_CONFIG_FILE", ""), *(Path(name).expanduser() for name in PIP_FILES)])
    found = {
        option: parser[section][option]
        for section in ("global", "install")
        if parser.has_section(section)
        for option in PIP_OPTIONS
        if option in parser[section]
    }
    for option in PIP_OPTIONS:
        value = os.environ.get("PIP_" + option.upper().replace("-", "_"))
        if value:
            found[option] = value
    remote = {
        option: " ".join(word for word in value.split() if not word.startswith(("file:", "/")))
        for option, value in found.items()
    }
    return {option: value for option, value in remote.items() if value}


def certificates() -> Path:
    """Return the file with the certificate authorities that this machine trusts; raises TryError without one."""
    named = (os.environ.get(name) for name in ("PIP_CERT", "SSL_CERT_FILE"))
    for candidate in (*named, ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt"):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    raise TryError("no file of certificate authorities was found: set SSL_CERT_FILE")


def debian_release() -> tuple[str, str]:
    """Return the code name and the mirror of the Debian that this machine installs from.

    Raises TryError where there is none.
    """
    command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError) as error:
        raise TryError(f"stand-in images are made from Debian packages, and apt says: {error}") from error
    for line in lines:
        codename, mirror = line.split()
        if "-" not in codename and "debian" in mirror:
            return codename, mirror
    raise TryError("stand-in images are made from Debian packages, and apt knows no Debian mirror")
