"""Inventories of other tools: Backstage, CycloneDX, MLflow and model cards into systems and items, with their lineage."""

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.audit import Outcome
from ingest.load import Loader
from ingest.store import Store


def load(loader: Loader, folder: Path, content: Any, name: str) -> Outcome:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    [outcome] = loader.load([(path, name)])
    return outcome


def items(store: Store, columns: str) -> list[tuple[Any, ...]]:
    return store.query(f"select {columns} from inventory_items order by item_id").rows()


CATALOG = """# the whole team
apiVersion: backstage.io/v1alpha1
kind: System
metadata:
  name: claims
  title: Claims copilot
  description: Drafts answers to claims
  annotations:
    acme.example/risk-tier: tier-1
  labels: {personal-data: "yes"}
spec:
  owner: group:default/claims-team
  lifecycle: Production
  domain: insurance
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: claims-api}
spec:
  type: service
  lifecycle: production
  owner: claims-team
  system: claims
  dependsOn: [resource:default/policies, component:claims-model]
  consumesApis: [api:rates]
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: claims-model
  namespace: ml
  annotations: {acme.example/provider: openai, acme.example/base-model: gpt-5}
spec: {type: Model, lifecycle: experimental, owner: ml-team, system: system:claims}
---
apiVersion: backstage.io/v1alpha1
kind: Resource
metadata: {name: policies}
spec: {type: dataset, owner: data-team, system: claims}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: claims-team}
spec: {type: team}
"""


def test_a_catalog_gives_systems_with_their_services_and_items_with_what_they_need(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load(loader, tmp_path, CATALOG, "catalog-info.yaml")
    assert (outcome.status, outcome.collector, outcome.rows) == ("loaded", "backstage", 4), outcome.line()
    system = store.query("""
        select system_id, name, owner, lifecycle, risk_tier, personal_data, intended_purpose, service_names from systems""").row(0)
    assert system == ("claims", "Claims copilot", "claims-team", "production", 1, "yes", "Drafts answers to claims",
                      ["claims-api", "claims-model"])  # fmt: skip
    assert items(store, "item_id, kind, system_id, owner, lifecycle, provider, base_model, depends_on") == [
        ("component:claims-api", "tool", "claims", "claims-team", "production", None, None,
         ["resource:policies", "component:claims-model", "api:rates"]),
        ("component:ml/claims-model", "model", "claims", "ml-team", "experimental", "openai", "gpt-5", None),
        ("resource:policies", "dataset", "claims", "data-team", None, None, None, None),
    ]  # fmt: skip


def test_a_catalog_of_systems_alone_counts_its_rows_and_attributes_their_services(loader: Loader, store: Store, tmp_path: Path) -> None:
    outcome = load(loader, tmp_path, CATALOG.partition("\n---\n")[0], "catalog-info.yaml")
    assert (outcome.rows, outcome.collector) == (1, "backstage")
    assert store.query("select count(*) from systems").item() == 1


def test_two_systems_with_one_id_and_a_tier_off_the_scale_are_rejected_with_their_line(
    loader: Loader, store: Store, tmp_path: Path
) -> None:
    system = CATALOG.partition("\n---\n")[0]
    twice = f"{system}\n---\n{system}\n---\n{system.replace('tier-1', 'tier-7').replace('claims', 'other')}"
    outcome = load(loader, tmp_path, twice, "catalog-info.yaml")
    found = [(reject.position, reject.reason) for reject in outcome.rejects]
    assert (outcome.status, outcome.rows) == ("partial", 1)
    assert found == [(32, "risk_tier is not within 1 to 3"), (17, "a second row with the same system_id")]
    assert store.query("select system_id from systems").rows() == [("claims",)]


def test_a_catalog_keeps_the_history_of_a_system(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, tmp_path, CATALOG, "one.yaml")
    load(loader, tmp_path, CATALOG.replace("Claims copilot", "Claims desk"), "two.yaml")
    names = store.query("select name, valid_to is null as holds from systems order by valid_from").rows()
    assert names == [("Claims copilot", False), ("Claims desk", True)]


@pytest.mark.parametrize("text", ["kind: Deployment\napiVersion: apps/v1\n", "techInsights:\n  factChecker: {checks: {}}\n"])
def test_yaml_of_something_else_is_no_catalog(loader: Loader, tmp_path: Path, text: str) -> None:
    assert load(loader, tmp_path, text, "catalog-info.yaml").status == "failed"


def test_broken_yaml_stops_the_file(loader: Loader, tmp_path: Path) -> None:
    assert "broken YAML" in load(loader, tmp_path, CATALOG + "---\nkind: [", "catalog-info.yaml").line()


BOM: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"type": "application", "name": "claims"}},
    "components": [
        {"type": "library", "bom-ref": "lib", "name": "requests", "version": "2"},
        {
            "type": "machine-learning-model",
            "bom-ref": "m",
            "group": "acme",
            "name": "claims-bert",
            "version": "3",
            "pedigree": {"ancestors": [{"type": "machine-learning-model", "group": "google", "name": "bert", "version": "1"}]},
            "modelCard": {"modelParameters": {"task": "classify", "datasets": [{"ref": "d"}, {"name": "SQuAD", "type": "dataset"}]}},
            "components": [{"type": "data", "bom-ref": "d", "name": "claims-2025", "data": [{"classification": "restricted"}]}],
        },
    ],
    "dependencies": [{"ref": "m", "dependsOn": ["lib", "d"]}],
}


def test_a_bom_gives_models_and_data_with_their_lineage(loader: Loader, store: Store, tmp_path: Path) -> None:
    assert load(loader, tmp_path, BOM, "bom.json").collector == "cyclonedx"
    assert items(store, "item_id, kind, system_id, provider, version, data_classification, base_model, depends_on") == [
        ("acme/claims-bert@3", "model", "claims", "acme", "3", None, "google/bert@1", ["requests@2", "claims-2025", "SQuAD"]),
        ("claims-2025", "dataset", "claims", None, None, "restricted", None, None),
    ]
    assert store.query("select extra ->> '$.task' as task from inventory_items where kind = 'model'").item() == "classify"


def test_a_bom_too_old_for_models_says_so(loader: Loader, tmp_path: Path) -> None:
    assert "CycloneDX 1.4 describes no models" in load(loader, tmp_path, BOM | {"specVersion": "1.4"}, "bom.json").line()


VERSION: dict[str, Any] = {
    "name": "claims-bert",
    "version": "7",
    "creation_timestamp": 1759300000000,
    "current_stage": "None",
    "run_id": "r1",
    "user_id": "ana",
    "tags": [{"key": "system_id", "value": "claims"}, {"key": "base_model", "value": "google/bert"}, {"key": "mlflow.owner", "value": "x"}],
    "aliases": ["champion"],
}
LIFECYCLE = ("claims-bert/7", "model", "claims", "claims-bert", "7", "ana", "production", "google/bert")
MODEL = {"name": "claims-bert", "aliases": [{"alias": "champion", "version": "7"}]}
REGISTRIES = {
    "versions": {"model_versions": [VERSION]},
    "models": {"registered_models": [MODEL | {"latest_versions": [VERSION | {"aliases": []}]}]},
    "exported": {
        "mlflow": {"registered_model": MODEL | {"versions": [{k: v for k, v in VERSION.items() if k not in ("name", "aliases")}]}}
    },
    "list": [VERSION | {"tags": {"system_id": "claims", "base_model": "google/bert"}}],
    "one": VERSION,
}


@pytest.mark.parametrize("shape", REGISTRIES)
def test_a_model_registry_gives_its_versions_whatever_its_shape(loader: Loader, store: Store, tmp_path: Path, shape: str) -> None:
    outcome = load(loader, tmp_path, REGISTRIES[shape], "registry.json")
    assert (outcome.status, outcome.collector, outcome.rows) == ("loaded", "mlflow", 1), outcome.line()
    assert items(store, "item_id, kind, system_id, name, version, owner, lifecycle, base_model") == [LIFECYCLE]


def test_an_archived_version_is_retired_and_one_without_stage_says_nothing(loader: Loader, store: Store, tmp_path: Path) -> None:
    archived = VERSION | {"version": "5", "current_stage": "Archived", "aliases": []}
    load(loader, tmp_path, {"model_versions": [archived, VERSION | {"version": "6", "aliases": []}]}, "registry.json")
    assert items(store, "version, lifecycle, environment") == [("5", "retired", None), ("6", None, None)]


CARD = """---
license: apache-2.0
base_model:
- google/bert
- acme/other
datasets: [squad]
pipeline_tag: text-classification
{name}
---
# {title}

Text.
"""


@pytest.mark.parametrize(
    ("name", "title", "item"),
    [
        ("model-index: [{name: acme/claims-bert, results: [{dataset: {name: SQuAD}, metrics: [{type: f1, value: 0.9}]}]}]", "BERT", 1),
        ("model_name: acme/claims-bert", "BERT", 0),
        ("", "acme/claims-bert", 0),
    ],
)
def test_a_model_card_names_its_model_base_and_data(loader: Loader, store: Store, tmp_path: Path, name: str, title: str, item: int) -> None:
    outcome = load(loader, tmp_path, CARD.format(name=name, title=title), "models/README.md")
    assert outcome.collector == "model_cards"
    assert items(store, "item_id, provider, name, base_model, depends_on, evaluation_ref") == [
        ("acme/claims-bert", "acme", "claims-bert", "google/bert", ["acme/other", "squad"], "SQuAD: f1 = 0.9" if item else None)
    ]
    assert store.query("select extra ->> '$.license' as license from inventory_items").item() == "apache-2.0"


def test_a_card_without_a_name_takes_that_of_its_folder(loader: Loader, store: Store, tmp_path: Path) -> None:
    load(loader, tmp_path, CARD.format(name="", title="A model for claims"), "claims-bert/README.md")
    assert items(store, "item_id") == [("claims-bert",)]


def test_a_readme_of_something_else_is_no_model_card(loader: Loader, tmp_path: Path) -> None:
    assert load(loader, tmp_path, "---\nlicense: mit\n---\n# Tool\n", "README.md").status == "failed"


# ---------------------------------------------------------------- files of the tools themselves


def test_the_backstage_component_keeps_owner_system_and_dependencies(loader: Loader, store: Store, fixtures: Path) -> None:
    folder = fixtures / "governance" / "backstage"
    outcomes = loader.load([(path, path.name) for path in sorted(folder.glob("*.yaml"))])
    assert [(o.collector, o.rows, o.status) for o in outcomes] == [("backstage", 1, "loaded"), ("", 0, "failed")]
    assert items(store, "item_id, kind, system_id, name, owner, lifecycle, depends_on") == [
        ("component:artist-lookup", "tool", "artist-engagement-portal", "artist-lookup", "team-a", "experimental", ["resource:artists-db"])
    ]


def test_the_specification_s_own_ml_bom_gives_one_model(loader: Loader, store: Store, fixtures: Path) -> None:
    [path] = (fixtures / "governance" / "cyclonedx").glob("*.json")
    [outcome] = loader.load([(path, path.name)])
    assert (outcome.collector, outcome.rows, outcome.rejected) == ("cyclonedx", 1, 0)
    assert items(store, "item_id, kind, provider, name, version, depends_on") == [
        ("CompVis/stable-diffusion@1.4", "model", "CompVis", "stable-diffusion", "1.4", ["Training Data"])
    ]
