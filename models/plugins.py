"""Plug-ins: the file name is the name, the folder is the registry."""

import importlib
import pkgutil
from types import ModuleType

from models.errors import UnknownPlugin


def names(package: ModuleType) -> list[str]:
    """The plug-ins in `package`, sorted, without importing any of them."""
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_")


def load(package: ModuleType, name: str) -> ModuleType:
    """Import the plug-in `name` of `package`.

    The name is checked against the listing first, so a configuration cannot import other code.

    Raises:
        UnknownPlugin: no such file; the message lists those there are.
    """
    known = names(package)
    if name not in known:
        raise UnknownPlugin(f"no {package.__name__} plug-in {name!r}; known: {', '.join(known)}")
    return importlib.import_module(f"{package.__name__}.{name}")
