"""Data as the Gaussian that has their mean and covariance: digits, arrays, image folders, covariance
spectra."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.io.reading import is_folder, load_numpy, text_table
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, IOFailure
from wbound.extras import needing
from wbound.memory import fits
from wbound.typing import Array

__all__ = [
    "Dataset",
    "digits",
    "from_samples",
    "from_spectrum",
    "load",
    "load_with_samples",
    "noted_samples_of",
    "samples_of",
]


#: The images of `digits`; digits.txt beside it has source and licence.
DIGITS = Path(__file__).with_name("digits.npz")
#: A spectrum, and samples fewer than their dimensions, whose covariance is never formed.
MOST_DIMENSIONS = 1 << 18
#: Samples as many as their dimensions or more: their covariance is d × d.
MOST_OF_COVARIANCE = 8192
#: Fewer samples than dimensions: their products are n × n.
MOST_OF_GRAM = 8192
MOST_NUMBERS = 2_000_000_000
#: Values larger than this have squares that leave double precision.
LARGEST = 1e150
#: Above this dimension the mean's share of each eigenvalue comes from Lanczos quadrature, not eigenvectors.
EIGENVECTORS = 512
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Mean and covariance of data, in the covariance's principal axes.

    ``eigenvalues`` (d,) ascending (x²); ``coordinates`` (d,), the mean along the axes (x; its squares only
    matter); ``n`` samples, or None for a spectrum; ``shape`` of one sample; ``notes``: what was done, in
    words.
    """

    name: str
    eigenvalues: Array
    coordinates: Array
    n: int | None
    shape: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def d(self) -> int:
        return int(self.eigenvalues.size)

    @property
    def rank(self) -> int:
        """Positive eigenvalues."""
        return int((self.eigenvalues > 0.0).sum())

    @property
    def spread(self) -> float:
        """‖X_0 − E X_0‖ in x: what ε_rel is relative to."""
        return math.sqrt(float(self.eigenvalues.sum()))

    @property
    def scale(self) -> float:
        """The standard deviation per coordinate, ‖X_0 − E X_0‖/√d, in x."""
        return self.spread / math.sqrt(self.d)

    @property
    def gaussian(self) -> Gaussian:
        """N(mean, covariance) in the principal axes: W2 does not see the rotation."""
        return Gaussian(self.coordinates, self.eigenvalues)

    def to_dict(self) -> dict[str, Any]:
        """What a report prints of the data."""
        positive = self.eigenvalues[self.eigenvalues > 0.0]
        return {
            "name": self.name,
            "d": self.d,
            "n": self.n,
            "shape": list(self.shape),
            "rank": self.rank,
            "scale": self.scale,
            "spread": self.spread,
            "mean_norm": float(np.linalg.norm(self.coordinates)),
            "largest_eigenvalue": float(self.eigenvalues[-1]),
            "smallest_positive_eigenvalue": float(positive[0]) if positive.size else None,
            "notes": list(self.notes),
        }


def digits() -> Dataset:
    """1797 images of handwritten digits, 8 × 8 pixels with values 0 … 16 (three pixels are constant).

    Source: Alpaydin and Kaynak, UCI Machine Learning Repository, 1998, doi 10.24432/C50P49 (CC BY 4.0), as
    scikit-learn's ``load_digits`` has them.
    """
    return from_samples(samples_of("digits"), "digits")


def samples_of(source: str | Path, key: str | None = None) -> NDArray[Any]:
    """The samples (n, …) of "digits", a .npy/.npz/.csv/.txt file or a folder of images (`noted_samples_of`
    without its notes)."""
    return noted_samples_of(source, key)[0]


def noted_samples_of(source: str | Path, key: str | None = None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The numbers (n, …) of "digits", of a .npy or .npz array (``key`` names one of several), of a .csv or
    .txt table (a line a sample), or of a folder of images; and in words what was not taken as it stands.

    A vector (of a file, or a table of one line or one column) comes as (d,): `load` takes it as a spectrum.
    Raises `BadInput`, `IOFailure`.
    """
    path = Path(source)
    suffix = path.suffix.lower()
    if key is not None and (suffix != ".npz" or is_folder(path)):
        raise BadInput("key", key, f"goes with an .npz file of several arrays, not {path.name or source}")
    if str(source) == "digits":
        return load_numpy(DIGITS).astype(float), ()
    if is_folder(path):
        return _images(path)
    if suffix in (".npy", ".npz"):
        return load_numpy(path, key=key, advice="; --key NAME (key=NAME in Python) picks one"), ()
    if suffix not in (".csv", ".txt"):
        raise BadInput(
            "data", str(source), "must be digits, a .npy, .npz, .csv or .txt file, or a folder of images"
        )
    table = text_table(path)
    named = (f"columns {', '.join(name[:20] for name in table.names[:8])}",) if table.names else ()
    return table.values.ravel() if table.is_vector else table.values, (*table.notes, *named)


def load(source: str | Path, key: str | None = None) -> Dataset:
    """Data by name: "digits", a file of an array, or a folder of images of one size (`noted_samples_of`).

    A vector is a covariance spectrum, anything else samples (n, …); ``notes`` say which. Raises `BadInput`,
    `IOFailure`.
    """
    return load_with_samples(source, key)[0]


def load_with_samples(source: str | Path, key: str | None = None) -> tuple[Dataset, NDArray[Any] | None]:
    """`load`, and the samples (n, …) that the data are of; None for a spectrum. Raises `BadInput`, `IOFailure`."""
    values, notes = noted_samples_of(source, key)
    name = "digits" if str(source) == "digits" else Path(source).name
    if values.ndim == 1:
        data = from_spectrum(values, name)
        return replace(data, notes=(*data.notes, *notes)), None
    made = (f"read as {values.shape[0]} samples of {values.shape[1]} numbers",) if values.ndim == 2 else ()
    return from_samples(values, name, made + notes), values


def from_samples(samples: ArrayLike, name: str = "array", notes: tuple[str, ...] = ()) -> Dataset:
    """The mean and covariance of samples (n, …), n ≥ 2, in their own units.

    With fewer samples than dimensions the covariance is Ledoit and Wolf's shrunk one, since the plain one has
    d − n + 1 eigenvalues that are 0 for want of data; the notes say so and how far it was shrunk. It is then known
    from the samples' n × n products, and no d × d array is made.
    Raises `BadInput`: shape, type, NaN, constant data, more than `MOST_DIMENSIONS` dimensions, or more than
    `MOST_OF_COVARIANCE` with as many samples or more.
    """
    a = np.asarray(samples)
    if a.dtype.kind not in "fiub":
        raise BadInput("data", f"dtype {a.dtype}", "must be real numbers")
    if a.ndim < 2 or a.shape[0] < 2:
        raise BadInput(
            "data", f"shape {a.shape}", "must be (n, ...) with n >= 2 samples along the first axis"
        )
    if a.size > MOST_NUMBERS:
        raise BadInput("data", f"shape {a.shape}", f"must hold at most {MOST_NUMBERS} numbers")
    n, shape = a.shape[0], a.shape[1:]
    flat = a.reshape(n, -1)
    d = flat.shape[1]
    if not 1 <= d <= MOST_DIMENSIONS:
        raise BadInput(
            "data", f"{d} dimensions", f"must have 1 ... {MOST_DIMENSIONS} dimensions; reduce the images"
        )
    said = list(notes)
    if n <= d:
        if n > MOST_OF_GRAM:
            raise BadInput("data", f"{n} samples", f"must be at most {MOST_OF_GRAM} for {d} dimensions")
        values, coordinates, shrinkage = _shrunk(flat)
        said.append(
            f"{n} samples for {d} dimensions: the covariance was shrunk by {shrinkage:.4f} toward a "
            "multiple of the identity (Ledoit and Wolf, 2004)"
        )
    elif d > MOST_OF_COVARIANCE:
        raise BadInput(
            "data",
            f"{n} samples of {d} dimensions",
            f"must have at most {MOST_OF_COVARIANCE} dimensions, or fewer samples than dimensions, or be a spectrum",
        )
    else:
        mean, cov = _moments(flat)
        values, coordinates = _principal(cov, mean)
    if not values[-1] > 0.0:
        raise BadInput("data", name, "must not be constant")
    zeros = int((values == 0.0).sum())
    if zeros:
        said.append(f"{zeros} of {d} directions are constant: bounds that need L0 refuse, exact laws do not")
    return Dataset(name, values, coordinates, n, tuple(shape), tuple(said))


def from_spectrum(source: str | Path | ArrayLike, name: str | None = None) -> Dataset:
    """Centred data with the covariance eigenvalues of a file (`noted_samples_of`) or array (d,), ≥ 0, in x²."""
    values: Any = source
    notes: tuple[str, ...] = ()
    if isinstance(source, (str, Path)):
        name = name or Path(source).name
        values, notes = noted_samples_of(source)
    a = np.asarray(values)
    if a.dtype.kind not in "fiu" or a.ndim != 1 or not 1 <= a.size <= MOST_DIMENSIONS:
        raise BadInput(
            "spectrum",
            f"shape {a.shape}, dtype {a.dtype}",
            f"must be a vector of 1 ... {MOST_DIMENSIONS} numbers",
        )
    a = np.sort(a.astype(float))
    if not np.isfinite(a).all() or a[0] < 0.0 or a[-1] <= 0.0:
        raise BadInput(
            "spectrum", f"smallest {a[0]:g}, largest {a[-1]:g}", "must be finite, >= 0 and not all 0"
        )
    said = f"read as a covariance spectrum, {a.size} eigenvalue{'s' if a.size > 1 else ''}; the mean is taken as 0"
    return Dataset(name or "spectrum", a, np.zeros(a.size), None, (int(a.size),), (said, *notes))


def _shrunk(flat: NDArray[Any]) -> tuple[Array, Array, float]:
    """Eigenvalues (d,) ascending of Ledoit and Wolf's shrunk covariance of samples (n, d), n ≤ d, the mean's
    coordinates along its axes, and the shrinkage: all from G = XXᵀ/n, X the centred samples.

    The plain covariance S = XᵀX/n has G's eigenvalues, and zeros. With m = tr S/d, δ² = |S|² − d m² and
    β² = Σ|x_i|⁴/n² − |S|²/n, the shrinkage is b = min(β², δ²)/δ² (Ledoit and Wolf, 2004, their norms times d), and the
    shrunk one (1 − b) S + b m. What of the mean is in no sample's direction lies along axes of the least eigenvalue.
    """
    n, d = flat.shape
    mean = _mean(flat)
    gram, along = np.zeros((n, n)), np.zeros(n)
    columns = max(1, (1 << 24) // n)
    for i in range(0, d, columns):  # by columns: the doubles of a part at a time
        part = flat[:, i : i + columns].astype(float) - mean[i : i + columns]
        gram += part @ part.T / n
        along += part @ mean[i : i + columns]
    values, vectors = np.linalg.eigh(gram)
    tiny = d * np.finfo(float).eps * max(float(values[-1]), 0.0)
    kept = values > tiny
    own, trace, square = values[kept], float(gram.trace()), float((gram**2).sum())
    m = trace / d
    delta = square - d * m**2
    beta = float((gram.diagonal() ** 2).sum()) - square / n
    b = min(max(beta, 0.0), delta) / delta if delta > 0.0 else 0.0
    coordinates = (along @ vectors[:, kept]) / np.sqrt(n * own)  # along Xᵀu/√(n·value)
    rest = math.sqrt(max(float(mean @ mean) - float(coordinates @ coordinates), 0.0))
    out, where = np.full(d, b * m), np.zeros(d)
    out[d - own.size :] = (1.0 - b) * own + b * m
    where[d - own.size :] = coordinates
    if own.size < d:
        where[0] = rest
    return out, where, b


def _mean(flat: NDArray[Any]) -> Array:
    """The mean (d,) by chunks; every number is looked at. Raises `BadInput`."""
    n, d = flat.shape
    rows = max(1, (1 << 24) // d)
    mean = np.zeros(d)
    for i in range(0, n, rows):
        part = flat[i : i + rows].astype(float)
        if not np.isfinite(part).all():
            bad = int(np.flatnonzero(~np.isfinite(part).all(axis=1))[0]) + i
            raise BadInput("data", f"sample {bad}", "must be finite (there is a nan or an infinity)")
        if np.abs(part).max() > LARGEST:
            raise BadInput(
                "data", f"largest value {np.abs(part).max():g}", f"must be at most {LARGEST:g} in size"
            )
        mean += part.sum(axis=0) / n
    return mean


def _moments(flat: NDArray[Any]) -> tuple[Array, Array]:
    """Mean and covariance (1/n) by chunks, so that bytes never become one large array of doubles."""
    n, d = flat.shape
    rows = max(1, (1 << 24) // d)
    mean, cov = _mean(flat), np.zeros((d, d))
    for i in range(0, n, rows):
        part = flat[i : i + rows].astype(float) - mean
        cov += part.T @ part / n
    return mean, cov


def _principal(cov: Array, mean: Array) -> tuple[Array, Array]:
    """Eigenvalues ascending, rounding below 0 cut, and the mean's coordinates (up to sign)."""
    d = mean.size
    if d <= EIGENVECTORS:
        values, vectors = np.linalg.eigh(cov)
        coordinates = mean @ vectors
    else:
        values = np.asarray(np.linalg.eigvalsh(cov), np.float64)
        coordinates = np.sqrt(_mean_share(cov, mean, values))
    tiny = d * np.finfo(float).eps * float(values[-1])
    return np.where(values <= tiny, 0.0, values), coordinates


def _mean_share(cov: Array, mean: Array, values: Array, most: int = 80) -> Array:
    """|mean|² split over the eigenvalues: Lanczos's Gauss quadrature of its spectral measure, each node
    shared between the eigenvalues beside it (total and first moment kept)."""
    norm = float(np.linalg.norm(mean))
    out = np.zeros_like(values)
    if norm == 0.0:
        return out
    basis = [mean / norm]
    diagonal, beside = [], []
    for _ in range(min(most, values.size)):
        w = cov @ basis[-1]
        diagonal.append(float(w @ basis[-1]))
        for _ in range(2):  # twice is enough
            Q = np.array(basis)
            w -= Q.T @ (Q @ w)
        size = float(np.linalg.norm(w))
        if size <= 1e-13 * float(values[-1]):
            break
        beside.append(size)
        basis.append(w / size)
    off = np.array(beside[: len(diagonal) - 1])
    T = np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)
    nodes, first = np.linalg.eigh(T)
    weights = norm**2 * first[0] ** 2
    at = np.clip(np.searchsorted(values, nodes), 1, values.size - 1)
    low, high = values[at - 1], values[at]
    share = np.clip((nodes - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    np.add.at(out, at - 1, weights * (1.0 - share))
    np.add.at(out, at, weights * share)
    return out


def _image_files(folder: Path) -> tuple[list[Path], list[str]]:
    """The images of a folder by name, or else those of its class folders; and what lies beside them."""

    def within(where: Path) -> tuple[list[Path], list[Path], int]:
        """Images, folders and the number of other files; hidden ones are none of them."""
        held = sorted(p for p in where.iterdir() if not p.name.startswith("."))
        files = [p for p in held if p.is_file()]
        images = [p for p in files if p.suffix.lower() in IMAGE_SUFFIXES]
        return images, [p for p in held if p.is_dir()], len(files) - len(images)

    try:
        paths, folders, others = within(folder)
        classes = {inner.name: within(inner) for inner in folders}
    except OSError as error:
        raise IOFailure(f"cannot read the folder {folder}: {error.strerror}") from None
    below = sum(len(images) for images, _, _ in classes.values())
    notes = []
    if paths:
        if below:
            notes.append(f"{below} images in folders inside {folder.name} were not read")
    elif below:
        full = [name for name, (images, _, _) in classes.items() if images]
        paths = [path for images, _, _ in classes.values() for path in images]
        others += sum(more for _, _, more in classes.values())
        notes.append(
            f"read {len(paths)} images from {len(full)} folders: {', '.join(name[:20] for name in full[:8])}"
            + (", ..." if len(full) > 8 else "")
        )
        deeper = sum(len(inner) for _, inner, _ in classes.values())
        if deeper:
            notes.append(f"{deeper} folders inside these were not read")
    if others:
        notes.append(f"{others} files that are no images were not read")
    if len(paths) < 2:
        raise BadInput(
            "data",
            folder.name,
            f"holds {len(paths)} images: must hold at least 2 ({', '.join(IMAGE_SUFFIXES)}), itself or in one "
            "folder a class",
        )
    return paths, notes


def _images(folder: Path) -> tuple[Array, tuple[str, ...]]:
    """The images of a folder, (n, height, width[, 3]) in [−1, 1], in the order of their names, and what was
    left out."""
    with needing("data"):
        from PIL import Image

    paths, notes = _image_files(folder)
    opaque, still = True, True
    loaded: list[NDArray[np.uint8]] = []
    size, grey = None, True
    for path in paths:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd but harmless contents
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path) as image:
                    if size is None:
                        size = image.size
                        if size[0] * size[1] > MOST_DIMENSIONS:
                            raise BadInput(
                                "data",
                                f"{size[0]}x{size[1]}",
                                f"must have at most {MOST_DIMENSIONS} values; reduce the images",
                            )
                        if size[0] * size[1] * 3 * len(paths) > MOST_NUMBERS:
                            raise BadInput(
                                "data", f"{len(paths)} images", f"must hold at most {MOST_NUMBERS} values"
                            )
                        fits("data", size[0] * size[1] * 3 * len(paths), 12.0)
                    if image.size != size:
                        raise BadInput(
                            "data",
                            f"{path.name} is {image.size[0]}x{image.size[1]}",
                            f"must have the size of {paths[0].name}, {size[0]}x{size[1]}: sizes are mixed",
                        )
                    if image.mode[:1] in ("I", "F"):
                        raise BadInput(
                            "data", f"{path.name} of mode {image.mode}", "must have 8 bits a value, not more"
                        )
                    grey = grey and image.mode in ("1", "L", "LA")
                    opaque = opaque and not image.has_transparency_data
                    still = still and getattr(image, "n_frames", 1) == 1
                    loaded.append(np.asarray(image.convert("RGB")))
        except BadInput:
            raise
        except Exception as error:  # damage shows in any way, by format
            if isinstance(error, OSError) and error.errno is not None:
                raise IOFailure(f"cannot read {path}: {error.strerror}") from None
            raise BadInput("data", path.name, "is no image that can be read, or a damaged one") from None
    stack = np.stack(loaded)
    if grey:  # three equal channels are one
        stack = stack[..., 0]
    said = ["pixel values are scaled to [-1, 1]"]
    said += [] if opaque else ["transparency was left out"]
    said += [] if still else ["of images with several frames the first was read"]
    return np.asarray(stack.astype(np.float64) / 127.5 - 1.0), (*said, *notes)
