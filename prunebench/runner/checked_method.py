"""Hold a method to the contract of all methods; its own code runs in a process of its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prunebench.experiment import foreign_code
from prunebench.experiment.settings import Method
from prunebench.pruning import contract
from prunebench.runner.own_process import Unfinished, apart


def check_contract(method: Method) -> list[contract.CheckResult]:
    """Return what ``contract.check`` finds of a method on the standard networks.

    Raises:
        Unfinished: code of the method's own ended its process before the check was done.
    """
    networks = contract.standard_networks()
    if not foreign_code.of_method(method):
        return contract.check(method, networks)
    answer = apart(f"{__name__}:results_of", method.model_dump(mode="json"))
    found = [contract.CheckResult(**each) for each in answer]
    if {each.network for each in found} != networks.keys():
        raise Unfinished("its process did not check every network")
    return found


def results_of(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Do what ``check_contract`` does, for a process that is told of a method as JSON."""
    method = Method.model_validate(settings)
    return [asdict(each) for each in contract.check(method, contract.standard_networks())]
