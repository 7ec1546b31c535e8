"""The dotted library names that code spells, as Python would resolve them."""

from __future__ import annotations

import pytest

from .build import names, of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import torch.nn.functional as F\nx = F.softmax\n", ("torch.nn.functional.softmax", "import", "load")),
        ("import torch.nn\nx = torch.nn.Linear(1, 1)\n", ("torch.nn.Linear", "import", "call")),
        ("from torch import nn as n\n\nclass A(n.Module):\n    pass\n", ("torch.nn.Module", "import", "call")),
        ("import torch\n\n@torch.no_grad\ndef f():\n    pass\n", ("torch.no_grad", "import", "call")),
        ("import torch\n\n@torch.no_grad()\ndef f():\n    pass\n", ("torch.no_grad", "import", "call")),
        ("import torch\n\ndef f() -> torch.Tensor:\n    pass\n", ("torch.Tensor", "import", "load")),
        ("from __future__ import annotations\nimport torch\n\ndef f(x: torch.Tensor):\n    pass\n",
         ("torch.Tensor", "call", "load")),
        ("import torch\n\ndef f():\n    return torch.zeros(1).x\n", ("torch.zeros", "call", "call")),
        ("import torch\nf = lambda: torch.load('x')\n", ("torch.load", "call", "call")),
        ("import torch\nif x:\n    torch.load('x')\n", ("torch.load", "conditional", "call")),
        ("import torch\nx = [torch.load(y) for y in z]\n", ("torch.load", "conditional", "call")),
        ("import torch\nx = [y for y in torch.load(z)]\n", ("torch.load", "import", "call")),
        ("import torch\ny = z and torch.load(x)\n", ("torch.load", "conditional", "call")),
        ("import torch\nif torch.load(x):\n    pass\n", ("torch.load", "import", "call")),
        ("import torch\nclass A:\n    x = torch.load('x')\n", ("torch.load", "import", "call")),
        ("import torch\ndef f(x=torch.load('x')):\n    pass\n", ("torch.load", "import", "call")),
        ("import torch\nn = torch.nn\ndef f():\n    n.Linear(1)\n", ("torch.nn.Linear", "call", "call")),
        ("import numpy as np\nf = np.load\nf('x')\n", ("numpy.load", "import", "call")),
        ("import numpy as np\ndef f():\n    g = (h := np).load\n    return g('x')\n", ("numpy.load", "call", "call")),
        ("import numpy as np\ngetattr(np, 'load')('x')\n", ("numpy.load", "import", "call")),
        ("import os\nos.environ['x'] = 1\n", ("os.environ", "import", "load")),
        ("import torch\ntorch.load = None\n", ("torch.load", "import", "store")),
        ("import torch\ndel torch.load\n", ("torch.load", "import", "store")),
        ("from os import *\nsystem('x')\n", ("os.system", "conditional", "call")),
        ("try:\n    from a import f\nexcept ImportError:\n    from b import f\nf()\n", ("b.f", "conditional", "call")),
        ("def f():\n    global g\n    from os import system as g\ndef h():\n    g(1)\n", ("os.system", "call", "call")),
        ("def f():\n    from os import system as g\n    def h():\n        nonlocal g\n        g('x')\n",
         ("os.system", "call", "call")),
        ("import os\nclass A:\n    o = os\n    o.system('x')\n", ("os.system", "import", "call")),
    ],
)  # fmt: skip
def test_it_finds(text: str, expected: tuple[str, str, str]) -> None:
    assert expected in names(of(text))


@pytest.mark.parametrize(
    "text",
    [
        "import os\n\ndef f(os):\n    os.system('x')\n",
        "import os\n\ndef f():\n    os = object()\n    os.system('x')\n",
        "import os\nx = [os.system for os in y]\n",
        "import os\n\nclass A:\n    def os(self):\n        return self.os.system\n",
        "from .os import system\nsystem('x')\n",
    ],
)
def test_a_name_that_is_bound_nearer_is_not_the_library(text: str) -> None:
    assert [name for name, _, how in names(of(text)) if name.startswith("os.") and how != "import"] == []


def test_only_the_longest_name_is_a_use() -> None:
    assert names(of("import torch\nx = torch.nn.functional.relu\n")) == [
        ("torch", "import", "import"),
        ("torch.nn.functional.relu", "import", "load"),
    ]


def test_place_counts_from_one_in_characters() -> None:
    (_, use) = of("import torch\n'é'; torch.load\n").uses
    assert (use.line, use.column) == (2, 6)


@pytest.mark.parametrize(
    "text",
    [
        "from .helper import torch as t\n\ndef f():\n    t.load('x')\n",
        "from . import helper\n\ndef f():\n    helper.torch.load('x')\n",
        "from .helper import *\n\ndef f():\n    torch.load('x')\n",
        "from .helper import g\n\ndef f():\n    g('x')\n",
    ],
)
def test_it_follows_the_files_of_the_repository(text: str) -> None:
    analysis = of(text, helper="import torch\ng = torch.load\n")
    assert ("torch.load", "call", "call") in names(analysis)


def test_relative_imports_are_no_uses() -> None:
    assert names(of("from .a import b\nfrom . import c\nb.d()\n", a="b = 1\n", c="")) == []


def test_builtins_are_uses_unless_bound() -> None:
    analysis = of("def f(open):\n    return open\n\ndef g():\n    return open('x')\n")
    assert [(use.name, use.line) for use in analysis.uses] == [("builtins.open", 5)]


def test_a_builtin_stays_one_until_it_is_bound_for_sure() -> None:
    assert [use.line for use in of("open('x')\nopen = 1\nopen\n").uses if use.name == "builtins.open"] == [1]
    assert [use.line for use in of("if x:\n    open = 1\nopen\n").uses if use.name == "builtins.open"] == [3]
    assert [use.line for use in of("class A:\n    open('x')\n    open = 1\n").uses] == [2]


def test_asking_whether_a_module_is_there_is_no_use() -> None:
    text = (
        "try:\n    import torch\nexcept ImportError:\n    torch = None\nif torch is not None and not torch:\n    pass\n"
    )
    assert names(of(text)) == [("torch", "conditional", "import")]


def test_capabilities_are_those_of_the_uses() -> None:
    assert of("import subprocess\ndef f():\n    subprocess.run('x')\n").capabilities == ("process",)
    assert of("import math\nx = len([math.pi])\n").capabilities == ()
    assert of("def f(x):\n    return eval(x)\n").capabilities == ("dynamic-code",)


def test_the_answer_does_not_depend_on_the_order_of_files() -> None:
    one = of("from .b import os\nos.system('x')\n", a="from .model import os\n", b="import os\n")
    assert [use.path for use in one.uses] == sorted(use.path for use in one.uses)
    assert ("os.system", "import", "call") in names(one)
