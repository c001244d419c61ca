"""JUnit XML, for CI systems: one test suite a node, one test case a check."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from slipway.verify.result import Check, Counts, Finding, NodeVerification, Verdict, Verification
from slipway.words import plain


def render(verification: Verification) -> str:
    """The whole report as text."""
    root = ET.Element("testsuites", name="slipway verify", time=f"{verification.duration:.3f}")
    for node in verification.nodes:
        root.append(_suite(node, verification.time))
    _count(root, [check for node in verification.nodes for check in _told(node)])
    _make_plain(root)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _suite(node: NodeVerification, time: str) -> ET.Element:
    suite = ET.Element("testsuite", name=node.node, hostname=node.node, timestamp=time, time=f"{node.duration:.3f}")
    checks = _told(node)
    _count(suite, checks)
    properties = ET.SubElement(suite, "properties")
    for name, value in (("system", node.system), ("bootId", node.boot_id)):
        ET.SubElement(properties, "property", name=name, value=value)
    suite.extend(_case(check) for check in checks)
    return suite


def _told(node: NodeVerification) -> tuple[Check, ...]:
    """A node that was asked nothing is one error: a suite without a case would pass for green."""
    if node.obstacle is None:
        return node.checks
    title = f"{node.obstacle.value}: {node.error}"
    return (Check("node.can_be_asked", "node", title, Verdict.ERROR, finding=Finding(node.error, fix=node.hint)),)


def _count(element: ET.Element, checks: list[Check] | tuple[Check, ...]) -> None:
    counts = Counts.of(tuple(checks))
    numbers = {"tests": len(checks), "failures": counts.failed, "errors": counts.errors, "skipped": counts.skipped}
    element.attrib.update({name: str(number) for name, number in numbers.items()})


def _case(check: Check) -> ET.Element:
    subject, _, name = check.id.rpartition(".")
    case = ET.Element("testcase", classname=subject or check.pack, name=name, time=f"{check.duration:.3f}")
    if check.verdict is Verdict.SKIPPED:
        ET.SubElement(case, "skipped", message=check.reason)
    elif check.finding is not None:
        case.append(_red("failure" if check.verdict is Verdict.FAILED else "error", check, check.finding))
    return case


def _red(kind: str, check: Check, finding: Finding) -> ET.Element:
    element = ET.Element(kind, message=check.title, type=check.verdict.value)
    element.text = "\n".join(f"{name}: {value}" for name, value in finding.to_json().items() if value)
    return element


def _make_plain(root: ET.Element) -> None:
    """Every text and every attribute, whoever said it: some characters XML cannot hold, however they are escaped."""
    for element in root.iter():
        element.attrib = {name: plain(value) for name, value in element.attrib.items()}
        element.text = element.text and plain(element.text)
