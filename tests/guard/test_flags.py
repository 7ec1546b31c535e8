"""Flags that real code sets: analysis and guard take the same ones, of the same kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("transformers")

import torch
import torch._dynamo.config
from PIL import Image, ImageFile

from safe_remote_code.errors import GuardViolationError, PolicyError
from safe_remote_code.flags import FLAGS
from safe_remote_code.policy import load_policy

from .written import written


def test_every_flag_is_granted() -> None:
    granted = load_policy("default").granted("hub:any/thing")
    # The object that holds it is granted; the flag is its attribute.
    assert not [name for name in FLAGS if not granted.allows(name) and not granted.allows(name.rpartition(".")[0])]


def test_flags_are_set_at_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    torch._dynamo.config.suppress_errors = False  # no monkeypatch: it would delete the setting at the end
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    limit, pixels = torch._dynamo.config.cache_size_limit, Image.MAX_IMAGE_PIXELS
    module = written(
        tmp_path,
        """
        import torch
        import torch._dynamo
        import torch.backends.cudnn as cudnn
        from PIL import Image, ImageFile

        torch.backends.cuda.matmul.allow_tf32 = True
        cudnn.benchmark = True
        torch._dynamo.config.suppress_errors = True
        torch._dynamo.config.cache_size_limit = 4096
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        Image.MAX_IMAGE_PIXELS = None
        seen = cudnn.benchmark, torch._dynamo.config.cache_size_limit, Image.MAX_IMAGE_PIXELS
        """,
    )
    assert module.seen == (True, 4096, None)
    assert torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    assert torch.backends.cudnn.benchmark
    assert torch._dynamo.config.suppress_errors
    torch._dynamo.config.suppress_errors = False
    assert ImageFile.LOAD_TRUNCATED_IMAGES
    assert (torch._dynamo.config.cache_size_limit, Image.MAX_IMAGE_PIXELS) == (limit, pixels)


@pytest.mark.parametrize(
    "line",
    [
        "torch.backends.cudnn.benchmark = Lie()",
        "torch.backends.cudnn.flags = True",
        "torch._dynamo.config.cache_size_limit = '8'",
        "torch._dynamo.config.debug_dir_root = 'x'",
        "ImageFile.LOAD_TRUNCATED_IMAGES = Lie()",
        "ImageFile.MAXBLOCK = 1",
        "del torch.backends.cudnn.benchmark",
        "setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', Lie())",
    ],
)
def test_nothing_else_is_set(tmp_path: Path, line: str) -> None:
    text = f"import torch\nimport torch._dynamo\nfrom PIL import ImageFile\n\nclass Lie(int):\n    pass\n\n{line}\n"
    with pytest.raises((GuardViolationError, PolicyError), match=r"may not be|foreign-write|does not own"):
        written(tmp_path, text)
