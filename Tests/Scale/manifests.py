"""deploy/kubernetes without a cluster:  python3 Tests/Scale/manifests.py

Each file, and each overlay as kubectl or kustomize renders it where one of them is installed, against Kubernetes' own
schemas (kubernetes-validate). Custom resources are held against the CustomResourceDefinitions (YAML) in the folder that
CRD_SCHEMAS names; what has no schema there is named. Then what no schema knows: times, ports, labels, options.
Packages: Tests/Scale/requirements.txt.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import jsonschema
import kubernetes_validate
import yaml

from replicas import BUILD, REPOSITORY
from report import expect, failures

ROOT = REPOSITORY / "deploy/kubernetes"
OVERLAYS = ["base", "overlays/monitoring", "overlays/inference-gateway"]


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def custom_schemas():
    """Schemas by apiVersion and kind."""
    folder, schemas = os.environ.get("CRD_SCHEMAS"), {}
    for path in sorted(pathlib.Path(folder).rglob("*.y*ml")) if folder else []:
        for document in documents(path.read_text()):
            if document.get("kind") != "CustomResourceDefinition":
                continue
            spec = document["spec"]
            for version in spec["versions"]:
                key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                schemas[key] = version["schema"]["openAPIV3Schema"]
    return schemas


def closed(schema):
    """A schema that knows no other fields than it lists: the API server would drop them in silence."""
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items() if key not in ("properties", "items")}
    if "properties" in schema:
        result["properties"] = {name: closed(value) for name, value in schema["properties"].items()}
        if "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            result["additionalProperties"] = False
    if "items" in schema:
        result["items"] = closed(schema["items"])
    return result


def validate(where, found, schemas, skipped):
    for document in found:
        version, kind = document["apiVersion"], document["kind"]
        name = f"{where}: {kind} {document['metadata'].get('name', '')}"
        try:
            if (version, kind) in schemas:
                schema = closed(schemas[version, kind])
                schema["properties"]["metadata"] = {"type": "object"}
                jsonschema.validate(document, schema)
            elif re.search(r"\.(k8s\.io|com)/", version) and not version.startswith("rbac."):
                skipped.add(f"{version} {kind}")
                continue
            else:
                kubernetes_validate.validate(document, "1.37", strict=True)
            problem = None
        except (kubernetes_validate.ValidationError, jsonschema.ValidationError) as error:
            problem = getattr(error, "message", error)
        expect(name + (f": {problem}" if problem else ""), problem is None)


def rendered(overlay):
    tool = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    return documents(subprocess.run([*tool, ROOT / overlay], check=True, capture_output=True, text=True).stdout)


def files():
    for path in sorted(ROOT.rglob("*.yaml")):
        if path.name not in ("kustomization.yaml", "picker-config.yaml"):
            yield path, documents(path.read_text())


def referenced():
    """Each kustomization names files that are there, and each file is named by one."""
    named = set()
    for path in ROOT.rglob("kustomization.yaml"):
        spec = yaml.safe_load(path.read_text())
        maps = [name for generator in spec.get("configMapGenerator", []) for name in generator["files"]]
        named |= {(path.parent / name).resolve() for name in spec["resources"] + maps}
    there = {path for path in ROOT.rglob("*.yaml") if path.name != "kustomization.yaml"} | {ROOT / "base"}
    expect("kustomizations name all files and no others", named == there)


def promises():
    every = {(document["kind"], document["metadata"]["name"]): document for _, found in files() for document in found}
    pod = every["Deployment", "dora"]["spec"]["template"]
    container, = pod["spec"]["containers"]
    options = dict(word[2:].split("=", 1) for word in container["args"])
    stopping = (container["lifecycle"]["preStop"]["sleep"]["seconds"] + int(options["drain-delay"])
                + int(options["drain-timeout"]))
    expect(f"the grace period is above preStop and drain ({stopping} s)",
           pod["spec"]["terminationGracePeriodSeconds"] > stopping)
    probes = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    expect(f"three probes: {probes}", list(probes.values()) == ["/ready", "/health", "/ready"])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    expect("ports are those that the server listens on", ports == {
        "http": int(options["http"].rsplit(":", 1)[1]), "metrics": int(options["metrics-listen"].rsplit(":", 1)[1])})
    expect("volumes are read-only", all(mount["readOnly"] for mount in container["volumeMounts"])
           and container["securityContext"]["readOnlyRootFilesystem"])
    labels = pod["metadata"]["labels"].items()
    selectors = [every["Service", "dora"]["spec"]["selector"],
                 every["PodDisruptionBudget", "dora"]["spec"]["selector"]["matchLabels"],
                 every["InferencePool", "dora"]["spec"]["selector"]["matchLabels"]]
    expect("selectors find the replicas", all(selector.items() <= labels for selector in selectors))
    expect("the pool's port is the server's",
           every["InferencePool", "dora"]["spec"]["targetPorts"] == [{"number": ports["http"]}])
    picker, = every["Deployment", "dora-picker"]["spec"]["template"]["spec"]["containers"]
    expect("the picker scrapes the port that wants no token",
           f"--model-server-metrics-port={ports['metrics']}" in picker["args"])
    if (BUILD / "dora-serve").exists():
        usage = subprocess.run([BUILD / "dora-serve", "--help"], capture_output=True, text=True).stdout
        unknown = [name for name in options if f"--{name} " not in usage]
        expect(f"dora-serve knows the options {unknown or ''}", not unknown)
    else:
        print(f"skipped: options, as there is no {BUILD}/dora-serve")


def main():
    schemas, skipped = custom_schemas(), set()
    referenced()
    for path, found in files():
        validate(path.relative_to(ROOT), found, schemas, skipped)
    if shutil.which("kustomize") or shutil.which("kubectl"):
        for overlay in OVERLAYS:
            validate(f"rendered {overlay}", rendered(overlay), schemas, skipped)
    else:
        print("skipped: rendered overlays, as there is neither kubectl nor kustomize")
    promises()
    for kind in sorted(skipped):
        print(f"skipped: {kind}, for which CRD_SCHEMAS has no schema")
    sys.exit(f"{len(failures)} failed" if failures else 0)


if __name__ == "__main__":
    main()
