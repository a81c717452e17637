"""The section ``kubernetes``."""

from pathlib import Path

import pytest
import yaml
from marshmallow import ValidationError

from hacore.config import load
from hacore.plugins.schemas import InstalledSchemas
from hacore_dcs_kubernetes.schema import KubernetesSchema
from hacore_dcs_kubernetes.settings import KubernetesSettings, Port

EXAMPLES = Path(__file__).parents[3] / "examples" / "kubernetes"
VALUES = {"HACORE_KUBERNETES_NAMESPACE": "databases", "HACORE_KUBERNETES_POD_IP": "10.1.2.3"}
LABELS = {"labels": {"application": "hacore"}}


def read(**section: object) -> KubernetesSettings:
    found = KubernetesSchema().load({**LABELS, **section})
    assert isinstance(found, KubernetesSettings)
    return found


def test_the_smallest_section_has_the_defaults_of_the_field() -> None:
    assert read() == KubernetesSettings(labels=(("application", "hacore"),))


def test_every_key_is_read() -> None:
    found = read(
        scope_label="scope",
        role_label="function",
        leader_label_value="master",
        follower_label_value="standby",
        standby_leader_label_value="standby_leader",
        tmp_role_label="later",
        namespace="databases",
        use_endpoints="on",
        pod_ip="10.0.0.1",
        ports=[{"name": "postgresql", "port": "5433"}, {}],
        bypass_api_service=True,
        cacert="/ca.pem",
        retriable_http_codes="429, 418",
        context="here",
        kubeconfig="/config",
        api_servers="https://10.0.0.2:6443,https://[fd00::1]:6443",
        bootstrap_labels={"bootstrapping": "yes"},
    )
    assert found == KubernetesSettings(
        labels=(("application", "hacore"),),
        scope_label="scope",
        role_label="function",
        leader_label_value="master",
        follower_label_value="standby",
        standby_leader_label_value="standby_leader",
        tmp_role_label="later",
        namespace="databases",
        use_endpoints=True,
        pod_ip="10.0.0.1",
        ports=(Port(name="postgresql", port=5433), Port()),
        bypass_api_service=True,
        cacert="/ca.pem",
        retriable_http_codes=(429, 418),
        context="here",
        kubeconfig="/config",
        api_servers=("https://10.0.0.2:6443", "https://[fd00::1]:6443"),
        bootstrap_labels=(("bootstrapping", "yes"),),
    )
    assert read(lock="lease", pod_ip="fd00::1").lock == "lease"
    assert read(retriable_http_codes=429).retriable_http_codes == (429,)


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ({"labels": None}, "labels"),
        ({"labels": "application"}, "labels"),
        ({"use_endpoints": True}, "pod_ip"),
        ({"lock": "lease"}, "pod_ip"),
        ({"lock": "lease", "use_endpoints": True, "pod_ip": "10.0.0.1"}, "lock"),
        ({"lock": "etcd"}, "lock"),
        ({"pod_ip": "db1"}, "pod_ip"),
        ({"ports": [{"port": 0}]}, "ports"),
        ({"ports": ["5432"]}, "ports"),
        ({"retriable_http_codes": [200]}, "retriable_http_codes"),
        ({"api_servers": "10.0.0.1:6443"}, "api_servers"),
    ],
)
def test_a_wrong_value_is_named(section: dict[str, object], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(**section)
    assert place in caught.value.messages_dict


@pytest.mark.parametrize("way", [{}, {"HACORE_KUBERNETES_USE_ENDPOINTS": "on"}])
def test_the_configuration_in_the_shipped_manifest_is_right_to_the_last_key(tmp_path: Path, way: dict[str, str]) -> None:
    settings, workload, _ = yaml.safe_load_all((EXAMPLES / "statefulset.yaml").read_text())
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one.get("value", VALUES.get(one["name"], "demo-0")) for one in container["env"]}
    environment = {name: text.replace("$(HACORE_KUBERNETES_POD_IP)", VALUES["HACORE_KUBERNETES_POD_IP"]) for name, text in given.items()}
    file = tmp_path / "hacore.yml"
    file.write_text(settings["data"]["hacore.yml"])
    loaded = load(str(file), {**environment, **way}, plugins=InstalledSchemas(), strict=True)
    assert loaded.warnings == ()
    found = loaded.local.dcs.settings
    assert isinstance(found, KubernetesSettings)
    assert (loaded.local.name, found.namespace, found.pod_ip, found.use_endpoints) == ("demo-0", "databases", "10.1.2.3", bool(way))
    assert loaded.local.scope in workload["spec"]["selector"]["matchLabels"].values()
