"""Hold a method to the contract of all methods; its own code runs in a process of its own."""

from __future__ import annotations

import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, text_of
from prunebench.experiment import foreign_code
from prunebench.experiment.settings import Method
from prunebench.pruning import contract
from prunebench.runner.own_process import Unfinished, apart


def check_contract(method: Method) -> list[contract.CheckResult]:
    """Return what ``contract.check`` finds of a method on the standard networks.

    Raises:
        Unfinished: code of the method's own raised an error, whose frames of that code stand on
            standard error, or ended its process before the check was done.
    """
    networks = contract.standard_networks()
    if not foreign_code.of_method(method):
        return contract.check(method, networks)
    answer = apart(f"{__name__}:results_of", method.model_dump(mode="json"))
    if isinstance(answer, str):
        raise Unfinished(answer)
    found = [contract.CheckResult(**each) for each in answer]
    if {each.network for each in found} != networks.keys():
        raise Unfinished("its process did not check every network")
    return found


def results_of(settings: dict[str, Any]) -> list[dict[str, Any]] | str:
    """Do what ``check_contract`` does, for a process that is told of a method as JSON.

    Returns:
        The results; where code of the method's own raised an error, what it was. An error that
        passed through none of that code is a bug of this package, and is raised.
    """
    method = Method.model_validate(settings)
    try:
        return [asdict(each) for each in contract.check(method, contract.standard_networks())]
    except PrunebenchError:
        raise
    except Exception as error:  # whatever somebody's code raises
        files = {path.resolve() for path in foreign_code.of_method(method)}
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).resolve() in files]
        if not own:
            raise
        # what calls the code, and what it calls, is not its author's to correct
        print("Traceback (most recent call last), of your code alone:", file=sys.stderr)
        print("".join(traceback.format_list(own)), end="", file=sys.stderr)
        return f"the method's own code raised {type(error).__name__}: {text_of(error)}"
