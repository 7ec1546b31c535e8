"""`audit --run`: what code tries is told, and comes to nothing; honest code tries nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attack import fixture as attacks
from cli.commands import repository
from safe_remote_code.report.detonation import run_document, run_lines
from safe_remote_code.worker.detonation import Trial

pytestmark = pytest.mark.torch
ROOT = Path(__file__).resolve().parents[2]
BODY = ROOT / "fixtures" / "escapes"


def audited(*words: str, **extra: str) -> tuple[int, Any]:
    """Exit code and JSON report of a real `safe-remote-code audit --run`."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "safe_remote_code", "audit", "--run", "--format", "json", *words],
        capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT), **extra},
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)["sources"][0]


def tried(source: Any) -> list[Any]:
    return [item for item in source["findings"] if item["rule"] == "detonation" and item["standing"] == "refused"]


@pytest.mark.parametrize("name", ["decoder", "encoder", "vision_language"])
def test_honest_code_tries_nothing(fixtures: Path, name: str) -> None:
    code, source = audited(str(fixtures / "models" / name))
    assert (code, tried(source)) == (0, [])
    driven = {item["message"] for item in source["findings"] if "could not be driven" in item["message"]}
    assert all("visual tokens" in text or "pixel_values" in text for text in driven), driven


@pytest.mark.parametrize(
    ("stage", "code", "capability", "event"),
    [
        ("import", "open('@@CANARY@@', 'w').close()", "file-write", "open"),
        ("forward", "open('@@SECRET@@').read()", "file-read", "open"),
        ("import", "__import__('socket').create_connection(('127.0.0.1', @@PORT@@), 2)", "network", "socket"),
        ("forward", "__import__('subprocess').run(['/bin/sh', '-c', 'echo > @@CANARY@@'])", "process", "subprocess.Popen"),
        ("import", "__import__('os').system('echo > @@CANARY@@')", "process", "os.system"),
        ("forward", "__import__('ctypes').CDLL(None).unlink(b'@@SECRET@@')", "native-code", "ctypes"),
    ],
)
def test_what_hostile_code_tries_is_told_and_comes_to_nothing(
    stage: str, code: str, capability: str, event: str, tmp_path: Path
) -> None:
    control = (ROOT / "tests" / "attack" / "control" / "benign.py").read_text().replace("benign", "trial")
    indent = "" if stage == "import" else "        "
    attempt = f"{indent}try:\n{indent}    {code}\n{indent}except Exception:\n{indent}    pass\n"
    if stage == "import":
        control += attempt
    else:
        control = control.replace("        return self.proj", attempt + "        return self.proj")
    (tmp_path / "trial.py").write_text(control)
    item = attacks.read(tmp_path / "trial.py")
    (tmp_path / "decoy").mkdir()
    (tmp_path / "decoy" / "secret.txt").write_text("decoy")
    listener = socket.create_server(("127.0.0.1", 0))
    tokens = attacks.Tokens(
        canary=str(tmp_path / "decoy" / "canary"), secret=str(tmp_path / "decoy" / "secret.txt"),
        port=listener.getsockname()[1],
    )  # fmt: skip
    attacks.write(item, tmp_path / "repo", tokens, after_pin=False)
    exit_code, source = audited(str(tmp_path / "repo"))
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()
    assert os.listdir(tmp_path / "decoy") == ["secret.txt"]
    found = [one for one in source["findings"] if one["rule"] == "detonation" and one["capability"] == capability]
    assert exit_code == 1
    assert any(f"tried at {stage}" in one["message"] and event in one["message"] for one in found), source["findings"]
    assert {one["path"] for one in found if one["message"].startswith("tried")} == {"modeling_escape.py"}


def test_an_exit_of_the_code_ends_its_stage_only(tmp_path: Path) -> None:
    item = attacks.read(ROOT / "tests" / "attack" / "control" / "benign.py")
    attacks.write(item, tmp_path / "repo", attacks.Tokens(canary="/x", secret="/x", port=1), after_pin=False)
    module = tmp_path / "repo" / "modeling_escape.py"
    module.write_text(module.read_text().replace("return self.proj", "raise SystemExit(0)\n        return self.proj"))
    _, source = audited(str(tmp_path / "repo"))
    assert any("forward AutoModel could not be driven: SystemExit" in one["message"] for one in source["findings"])


def test_a_worker_that_ends_itself_is_a_finding(tmp_path: Path) -> None:
    item = attacks.read(ROOT / "tests" / "attack" / "control" / "benign.py")
    attacks.write(item, tmp_path / "repo", attacks.Tokens(canary="/x", secret="/x", port=1), after_pin=False)
    module = tmp_path / "repo" / "modeling_escape.py"
    module.write_text(module.read_text() + "\n__import__('os')._exit(5)\n")
    code, source = audited(str(tmp_path / "repo"))
    assert code == 1
    assert any("ended early" in one["message"] and "exit code 5" in one["message"] for one in tried(source))


SENSES = '''import torch
from transformers import PretrainedConfig, PreTrainedModel


class SenseConfig(PretrainedConfig):
    model_type = "sense"

    def __init__(self, num_mel_bins=24, max_source_positions=50, num_channels=1, image_size=12, **kwargs):
        self.num_mel_bins, self.max_source_positions = num_mel_bins, max_source_positions
        self.num_channels, self.image_size = num_channels, image_size
        super().__init__(**kwargs)


class Sense(PreTrainedModel):
    config_class = SenseConfig

    def __init__(self, config):
        super().__init__(config)
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.post_init()


class Hears(Sense):
    main_input_name = "input_features"

    def forward(self, input_features):
        if input_features.shape != (1, 24, 100):
            raise ValueError(f"not a spectrogram: {input_features.shape}")
        return (self.scale * input_features,)


class Listens(Sense):
    main_input_name = "input_values"

    def forward(self, input_values):
        if input_values.dim() != 2:
            raise ValueError(f"not a wave: {input_values.shape}")
        return (self.scale * input_values,)


class Sees(Sense):
    main_input_name = "pixel_values"

    def forward(self, pixel_values):
        if pixel_values.shape != (1, 1, 12, 12):
            raise ValueError(f"not a picture: {pixel_values.shape}")
        return (self.scale * pixel_values,)


class Smells(Sense):
    main_input_name = "odour"

    def forward(self, odour):
        return (odour,)
'''


def test_inputs_are_guessed_by_their_name_and_the_report_says_what_was_driven(tmp_path: Path) -> None:
    classes = {"AutoModel": "Hears", "AutoModelForCTC": "Listens", "AutoModelForImageClassification": "Sees",
               "AutoModelForSequenceClassification": "Smells", "AutoVideoProcessor": "Gone"}  # fmt: skip
    auto_map = {"AutoConfig": "modeling_sense.SenseConfig", **{name: f"modeling_sense.{own}" for name, own in classes.items()}}
    repository(tmp_path / "repo", {"modeling_sense.py": SENSES}, {"model_type": "sense", "auto_map": auto_map})
    code, source = audited(str(tmp_path / "repo"))
    run = source["run"]
    assert (code, run["attempts"], run["ended"]) == (0, 0, "")
    driven = {item["class"]: item["driven"] for item in run["classes"]}
    whole = ["init", "forward", "save"]
    assert driven == {
        "AutoConfig": ["import"], "AutoModel": whole, "AutoModelForCTC": whole, "AutoModelForImageClassification": whole,
        "AutoModelForSequenceClassification": ["init", "save"], "AutoVideoProcessor": [],
    }  # fmt: skip
    failed = {item["class"]: item["not_driven"] for item in run["classes"] if item["not_driven"]}
    (forward,) = failed["AutoModelForSequenceClassification"]
    assert forward["stage"] == "forward" and "odour" in forward["error"]
    assert failed["AutoVideoProcessor"] == [{"stage": "load", "error": "no stage drives this class"}]


def test_text_says_what_was_driven_and_what_was_not() -> None:
    stages = (("import AutoConfig", ""), ("init AutoModel", ""), ("forward AutoModel", "TypeError: x"), ("load AutoTokenizer", "OSError: y"))
    trial = Trial(attempts=(), stages=stages)
    assert list(run_lines(trial)) == [
        "run in a worker, with random weights: nothing was tried",
        "  AutoConfig: import",
        "  AutoModel: init; could not be driven: forward",
        "  AutoTokenizer: nothing was driven; could not be driven: load and all that follows",
    ]
    assert list(run_lines(Trial(attempts=(), stages=(), ended="killed"))) == ["run in a worker: it ended early"]
    assert list(run_lines(Trial(attempts=(), stages=()))) == ["not run: there is no class that could be driven"]
    assert list(run_lines(None)) == [] and run_document(None) is None


def test_the_other_formats_hold_it_too(tmp_path: Path) -> None:
    item = attacks.read(BODY / "builtins-open-write.py")
    attacks.write(item, tmp_path / "repo", attacks.Tokens(canary=str(tmp_path / "c"), secret="/x", port=1), after_pin=False)
    base = [sys.executable, "-m", "safe_remote_code", "audit", "--run", str(tmp_path / "repo")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    sarif = json.loads(subprocess.run([*base, "--format", "sarif"], capture_output=True, text=True, env=env).stdout)
    assert any(result["ruleId"] == "detonation" for result in sarif["runs"][0]["results"])
    assert [[one["class"] for one in item["classes"]] for item in sarif["runs"][0]["properties"]["runs"].values()] == [["AutoConfig"]]
    text = subprocess.run(base, capture_output=True, text=True, env=env).stdout
    assert "detonation: tried at" in text and "  run in a worker, with random weights: 1 attempt, below" in text
    assert not (tmp_path / "c").exists()


def test_the_command_itself_loads_nothing_that_runs_code(tmp_path: Path) -> None:
    from cli.test_reach import _loaded, _reached

    repository(tmp_path / "plain")
    assert _reached(_loaded([], "audit", "--run", "plain", cwd=tmp_path)) == []
