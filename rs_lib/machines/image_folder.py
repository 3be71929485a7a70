"""Images in folders, one for each class, as ImageNet is laid out."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms import functional

from rs_lib.arguments import IntArray, integer

ROOM = 8 / 7
"""The shorter side before the middle is cut out, in sides: 256 pixels for 224, as is usual."""


class Folder:
    """The images below `root`/CLASS/, classes and files in the order of their names.

    An image becomes uint8 [3, side, side]: resized (bilinear, antialiased) until its shorter side
    is 8/7 of `side`, then its middle is cut out; one of just that size stays as it is. Raises
    ValueError for a folder without such images, and for a `side` that is no size.
    """

    classes: list[str]
    labels: IntArray

    def __init__(self, root: Path, side: int, *, labelled: bool = True) -> None:
        """Find the files; none is read. Without labels: all images below `root`, one class."""
        self.side = integer("side", side, least=1, most=4096)
        if not labelled:
            files = (path for path in root.rglob("*") if path.suffix.lower() in IMG_EXTENSIONS)
            self._files = sorted(files)
            self.classes = [""]
            self.labels = np.zeros(len(self._files), dtype=np.int64)
            if not self._files:
                raise ValueError(f"data is {str(root)!r}: give a folder that holds images")
            return
        try:
            found = ImageFolder(str(root))
        except (FileNotFoundError, OSError) as error:
            raise ValueError(
                f"data is {str(root)!r}: give a folder that holds a folder of images for each class"
            ) from error
        self.classes = found.classes
        self._files = [Path(name) for name, _ in found.samples]
        self.labels = np.array(found.targets, dtype=np.int64)

    def images(self, places: IntArray) -> Tensor:
        """Return the images at `places` as uint8 [len(places), 3, side, side].

        Raises ValueError that names a file which is no image.
        """
        made = torch.empty((len(places), 3, self.side, self.side), dtype=torch.uint8)
        for row, place in enumerate(places.tolist()):
            made[row] = self._image(self._files[place])
        return made

    def _image(self, path: Path) -> Tensor:
        try:
            with Image.open(path) as opened:
                picture = opened.convert("RGB")
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"data: {path} cannot be read as an image: leave it out") from error
        if picture.size != (self.side, self.side):
            picture = functional.resize(picture, [round(self.side * ROOM)])
            picture = functional.center_crop(picture, [self.side, self.side])
        pixels: Tensor = functional.pil_to_tensor(picture)
        return pixels
