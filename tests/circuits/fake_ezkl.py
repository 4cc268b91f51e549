"""A stand-in for ezkl with its calls and its ways to fail, without the mathematics.

The environment says what goes wrong: `EZKL_FAKE` is `call:what`. Every call is noted in `EZKL_FAKE_CALLS`.
"""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

FELT = "01" + "00" * 31


class PyRunArgs:
    def __init__(self) -> None:
        self.input_visibility = self.output_visibility = self.param_visibility = "public"
        self.input_scale = 7
        self.variables = [("batch_size", 1)]


class PanicException(BaseException):
    pass


def _note(call: str, arguments: dict[str, Any]) -> None:
    print("noise of", call)  # noqa: T201 - ezkl prints
    shown = {
        name: vars(value) if isinstance(value, PyRunArgs) else value for name, value in arguments.items()
    }
    record = {
        "call": call,
        "arguments": shown,
        "cache": os.environ["EZKL_REPO_PATH"],
        "pid": os.getpid(),
        "environment": dict(os.environ),
    }
    with Path(os.environ["EZKL_FAKE_CALLS"]).open("a") as file:
        file.write(json.dumps(record) + "\n")
    at, _, what = os.environ.get("EZKL_FAKE", "").partition(":")
    if at != call:
        return
    match what:
        case "panic":
            message = "index out of bounds"
            raise PanicException(message)
        case "crash":
            print("out of luck", file=sys.stderr)  # noqa: T201 - what a crash leaves behind
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sleep":
            time.sleep(60)
        case "hold the lock":  # of the interpreter, as ezkl does while it computes
            ctypes.PyDLL(None).sleep(60)
        case _ if what.startswith("make "):
            folder = Path(what.removeprefix("make "))
            folder.mkdir()
            (folder / "theirs").write_text("theirs")
        case _:
            raise RuntimeError(what)


def gen_settings(model: str, output: str, py_run_args: PyRunArgs) -> bool:
    _note("gen_settings", {"model": model, "output": output, "py_run_args": py_run_args})
    settings = {
        "run_args": {
            "logrows": 17,
            "input_visibility": py_run_args.input_visibility.capitalize(),
            "output_visibility": py_run_args.output_visibility.capitalize(),
        },
        "input_types": ["F32"],
        "model_input_scales": [0],
        "model_output_scales": [0],
        "version": "23.0.5",
    }
    Path(output).write_text(json.dumps(settings))
    return True


def gen_random_data(**arguments: Any) -> bool:
    _note("gen_random_data", arguments)
    Path(arguments["output"]).write_text('{"input_data": [[0.5]]}')
    return True


def calibrate_settings(**arguments: Any) -> bool:
    _note("calibrate_settings", arguments)
    path = Path(arguments["settings"])
    settings = json.loads(path.read_text())
    settings["run_args"]["logrows"] = 6
    path.write_text(json.dumps(settings))
    return True


def compile_circuit(model: str, compiled_circuit: str, settings_path: str) -> bool:
    _note(
        "compile_circuit",
        {"model": model, "compiled_circuit": compiled_circuit, "settings_path": settings_path},
    )
    Path(compiled_circuit).write_bytes(b"compiled " + Path(model).read_bytes())
    return True


def gen_srs(srs_path: str, logrows: int) -> None:
    _note("gen_srs", {"srs_path": srs_path, "logrows": logrows})
    Path(srs_path).write_bytes(logrows.to_bytes(4, "little") + bytes((128 << logrows) + 256))


def setup(**arguments: Any) -> bool:
    _note("setup", arguments)
    Path(arguments["vk_path"]).write_bytes(b"verifying key")
    Path(arguments["pk_path"]).write_bytes(b"proving key")
    return True


def gen_witness(**arguments: Any) -> dict[str, Any]:
    _note("gen_witness", arguments)
    data = json.loads(Path(arguments["data"]).read_text())
    Path(arguments["output"]).write_text(json.dumps(data))
    return {"inputs": []}


def prove(**arguments: Any) -> dict[str, Any]:
    _note("prove", arguments)
    proof = {
        "instances": [[FELT]],
        "proof": [1, 2, 3],
        "hex_proof": "0x010203",
        "pretty_public_inputs": {"outputs": [[f"0x{1:064x}"]], "rescaled_outputs": [["1"]]},
    }
    Path(arguments["proof_path"]).write_text(json.dumps(proof))
    return proof


def verify(**arguments: Any) -> bool:
    _note("verify", arguments)
    if json.loads(Path(arguments["proof_path"]).read_text())["proof"] != [1, 2, 3]:
        message = "Failed to run verify: [halo2] The constraint system is not satisfied"
        raise RuntimeError(message)
    return True
