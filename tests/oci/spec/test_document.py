"""What a configuration may say besides what is to be done, and what this kernel can't do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bundle import Bundle

SELINUX = Path("/sys/fs/selinux/enforce")
RESCTRL = Path("/sys/fs/resctrl/schemata")


def test_properties_that_nobody_knows_are_passed_over(bundle: Bundle) -> None:
    bundle.config["vendor"] = bundle.process["vendor"] = bundle.linux["vendor"] = {"a": [1]}
    bundle.config["mounts"][0]["vendor"] = True
    assert bundle.sh("echo it runs") == "it runs\n"


def test_a_configuration_for_another_system_is_an_error(bundle: Bundle) -> None:
    bundle.config["windows"] = {"layerFolders": ["x"]}
    bundle.fails("field=windows")


def test_annotations_are_in_the_state(bundle: Bundle) -> None:
    bundle.config["annotations"] = {"com.example.key": "value", "com.example.empty": ""}
    bundle.process["args"] = ["sleep", "1000"]
    bundle.write()
    with open(bundle.path / "said", "w+") as said:
        code = bundle.silently(said, "create", "--bundle", str(bundle.path), "noted")
    assert code == 0, (bundle.path / "said").read_text()
    state = json.loads(bundle.runtime("state", "noted").stdout)
    bundle.runtime("delete", "--force", "noted")
    assert state["annotations"] == bundle.config["annotations"]
    assert (state["id"], state["status"], state["bundle"]) == ("noted", "created", str(bundle.path))
    assert state["ociVersion"].startswith("1.") and state["pid"] > 0


def test_resource_groups_are_an_error(bundle: Bundle) -> None:
    if RESCTRL.exists():
        pytest.skip("needs a kernel without resctrl")
    bundle.linux["intelRdt"] = {"closID": "group", "l3CacheSchema": "L3:0=f"}
    bundle.fails("linux.intelRdt")


def test_a_resource_group_is_made_and_taken_away(bundle: Bundle) -> None:
    if not RESCTRL.exists():
        pytest.skip("needs a processor with Intel RDT or AMD QoS, and resctrl mounted")
    bundle.linux["intelRdt"] = {"enableMonitoring": True}
    bundle.process["args"] = ["sh", "-c", "sleep 60"]
    bundle.write()
    group = RESCTRL.parent / "rdt"
    try:
        with open(os.devnull, "w") as said:
            assert bundle.silently(said, "run", "--detach", "--bundle", str(bundle.path), "rdt") == 0
        pid = str(json.loads(bundle.runtime("state", "rdt").stdout)["pid"])
        for tasks in (group / "tasks", group / "mon_groups/rdt/tasks"):
            assert pid in tasks.read_text().split()
    finally:
        bundle.runtime("delete", "--force", "rdt")
    assert not group.exists()


def test_a_label_of_mounts_without_selinux_is_an_error(bundle: Bundle) -> None:
    if SELINUX.exists():
        pytest.skip("needs a kernel without SELinux")
    bundle.linux["mountLabel"] = "system_u:object_r:container_file_t:s0"
    bundle.fails("linux.mountLabel")
