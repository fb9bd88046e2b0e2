"""The `.dlc` container that Qualcomm's SNPE/QAIRT tools read."""

import zipfile
from pathlib import Path

from ...api.errors import ConversionFailed

_REQUIRED = {"model", "model.params"}


def collect_dlcs(directory: Path, into: Path) -> dict[str, Path]:
    """Check and move the dumped containers: one becomes `model.dlc`, several `model_0.dlc`, `model_1.dlc`, ….

    Raises ConversionFailed when there is none, or one is no DLC (a ZIP with the network and its parameters).
    """
    dumped = sorted(directory.glob("*.dlc"))
    if not dumped:
        raise ConversionFailed("the QNN serializer wrote no .dlc file")
    names = ["model.dlc"] if len(dumped) == 1 else [f"model_{index}.dlc" for index in range(len(dumped))]
    files = {}
    for name, path in zip(names, dumped, strict=True):
        check_dlc(path)
        files[name] = path.rename(into / name)
        # QNN writes it for its owner alone
        files[name].chmod(0o644)
    return files


def check_dlc(path: Path) -> None:
    """Raise ConversionFailed unless the file holds a network and its parameters, whole."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            # QNN leaves the checksums zero, so that only positions and lengths can be checked
            whole = {item.filename for item in archive.infolist() if 0 < item.header_offset + item.file_size <= size}
    except zipfile.BadZipFile as error:
        raise ConversionFailed(f"{path.name} is not a DLC container: {error}") from error
    if not whole >= _REQUIRED:
        raise ConversionFailed(f"{path.name} is damaged: it lacks {', '.join(sorted(_REQUIRED - whole))}")
