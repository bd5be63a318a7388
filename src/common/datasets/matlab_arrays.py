"""Single variables of MATLAB files that hold recordings, of version 5 and of version 7.3 (HDF5).

A recording takes hundreds of megabytes, and of a compressed version 5 file nothing can be read by
itself. The file that was read last is therefore kept in memory, as float32: reading all people of a
stimulus one after the other decodes it once. Of a version 7.3 file only the wanted part is read.
Names, sides and texts are read without the recordings, once the file was walked over and found
sound.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.datasets import matlab_tags
from common.datasets.files import MAX_BYTES
from common.datasets.headers import reading, refusal, require_size

_KIND = "MATLAB file"
# the check counts eight bytes in memory for each in the file, doubles take no more than one
_MOST_GROWTH = 8
_MOST_INFLATION = 1032


def names(path: Path) -> list[str]:
    """List the variables of a file.

    Args:
        path: a MATLAB file.

    Raises:
        ReplicateError: the file is absent or damaged.
    """
    with reading(path, _KIND):
        if _is_hdf5(path):
            import h5py

            with h5py.File(path, "r") as file:
                return [name for name in file if not name.startswith("#")]
        return list(_headers(path))


def read_part(path: Path, name: str, *, last: int | None = None) -> NDArray[np.float32]:
    """Read a numeric variable, or one entry along its last axis.

    Args:
        path: a MATLAB file.
        name: the variable.
        last: place along the last axis, the whole variable if left out.

    Returns:
        The values in MATLAB's order of axes, without the last one if a place was given; float32.

    Raises:
        ReplicateError: the file is absent, damaged or too large, or has no numeric variable of that
            name or no such place.
    """
    with reading(path, _KIND):
        if _is_hdf5(path):
            return _hdf5_part(path, name, last)
        array = _numbers(path, name)
        # a copy, so that nobody writes into what is kept
        return np.array(array if last is None else array[..., last], order="C")


def shape(path: Path, name: str) -> tuple[int, ...]:
    """Return the sides of a numeric variable, in MATLAB's order of axes.

    Raises:
        ReplicateError: as :func:`read_part`.
    """
    with reading(path, _KIND):
        if not _is_hdf5(path):
            found = _headers(path)
            if name not in found:
                raise refusal(path, _KIND, f"no array {name!r}")
            return found[name]
        import h5py

        with h5py.File(path, "r") as file:
            sides: tuple[int, ...] = _dataset(path, file, name).shape[::-1]
            return sides


def read_number(path: Path, name: str) -> float:
    """Read a variable with a single value.

    Raises:
        ReplicateError: as :func:`read_part`, or it has several values or none.
    """
    found = read_part(path, name)
    if found.size != 1:
        raise refusal(path, _KIND, f"{name!r} with {found.size} values, not one")
    return float(found.ravel()[0])


def read_texts(path: Path, name: str) -> list[str]:
    """Read a cell array of texts, a matrix of characters or whole numbers, as a list of texts.

    Args:
        path: a MATLAB file.
        name: the variable.

    Raises:
        ReplicateError: the file is absent or damaged, or has no such variable.
    """
    with reading(path, _KIND):
        if _is_hdf5(path):
            return _hdf5_texts(path, name)
        from scipy.io import loadmat

        _require_sound(path, *_version(path))
        found = loadmat(path, variable_names=[name]).get(name)
        if found is None:
            raise refusal(path, _KIND, f"no variable {name!r}")
        return [_text(entry) for entry in np.ravel(found)]


def _is_hdf5(path: Path) -> bool:
    import h5py

    # opened first, so that an absent file is named as absent
    path.stat()
    return bool(h5py.is_hdf5(path))


def _version(path: Path) -> tuple[int, int]:
    """Tell a file from another one that took its place."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1024)
def _require_sound(path: Path, mtime_ns: int, size: int) -> None:
    """Walk over the tags of a version 5 file once."""
    matlab_tags.check(path, max_bytes=MAX_BYTES * _MOST_GROWTH)


def _headers(path: Path) -> dict[str, tuple[int, ...]]:
    """Read names and sides of the variables of a version 5 file."""
    from scipy.io import whosmat

    _require_sound(path, *_version(path))
    return {name: tuple(sides) for name, sides, _ in whosmat(path)}


@lru_cache(maxsize=1)
def _variables(path: Path, mtime_ns: int, size: int) -> dict[str, Any]:
    """Read all variables of a version 5 file, numbers as float32."""
    from scipy.io import loadmat

    _require_sound(path, mtime_ns, size)
    found = loadmat(path)
    return {
        name: value.astype(np.float32) if value.dtype.kind in "iuf" else value
        for name, value in found.items()
        if isinstance(value, np.ndarray)
    }


def _numbers(path: Path, name: str) -> NDArray[np.float32]:
    array: Any = _variables(path, *_version(path)).get(name)
    if array is None or array.dtype != np.float32:
        raise refusal(path, _KIND, f"no array of numbers {name!r}")
    found: NDArray[np.float32] = array
    return found


def _text(entry: Any) -> str:
    """Word one entry of a cell array: a text, or a number without fraction."""
    if isinstance(entry, np.ndarray):
        return "".join(_text(one) for one in entry.ravel())
    return str(entry).strip() if isinstance(entry, str) else f"{float(entry):g}"


def _dataset(path: Path, file: Any, name: str) -> Any:
    """Return an array of an HDF5 file that lies in the file itself."""
    import h5py

    link, array = file.get(name, getlink=True), file.get(name)
    if isinstance(link, h5py.ExternalLink) or not isinstance(array, h5py.Dataset):
        raise refusal(path, _KIND, f"no array {name!r}")
    if array.external or array.is_virtual:
        raise refusal(path, _KIND, f"{name!r} in another file")
    return array


def _hdf5_part(path: Path, name: str, last: int | None) -> NDArray[np.float32]:
    import h5py

    with h5py.File(path, "r") as file:
        array = _dataset(path, file, name)
        if array.dtype.kind not in "iuf":
            raise refusal(path, _KIND, f"no array of numbers {name!r}")
        # HDF5 holds MATLAB's axes in reverse
        sides = array.shape if last is None else array.shape[1:]
        wanted = tuple(max(side, 1) for side in sides)
        require_size(
            path,
            _KIND,
            wanted,
            array.dtype.itemsize,
            max_bytes=MAX_BYTES,
            inflation=_MOST_INFLATION,
        )
        stored = array[()] if last is None else array[last]
        return np.array(np.asarray(stored).T, dtype=np.float32, order="C")


def _hdf5_texts(path: Path, name: str) -> list[str]:
    import h5py

    with h5py.File(path, "r") as file:
        array = _dataset(path, file, name)
        if array.dtype != h5py.ref_dtype:
            return [_text(entry) for entry in np.ravel(array[()])]
        texts = []
        for reference in np.ravel(array[()]):
            entry = file[reference]
            characters = np.ravel(entry[()])
            # MATLAB marks characters; anything else is a number
            is_text = entry.attrs.get("MATLAB_class", b"") == b"char"
            texts.append(
                "".join(map(chr, characters)).strip()
                if is_text
                else _text(characters.astype(float))
            )
        return texts
