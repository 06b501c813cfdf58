package main

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// bundleOf are the files of the bundle by their names.
func bundleOf(o options, s sources) (map[string][]byte, error) {
	files := map[string]any{
		"metadata/annotations.yaml":   map[string]any{"annotations": annotations()},
		"tests/scorecard/config.yaml": scorecard(),
	}
	for _, definition := range s.definitions {
		if definition.kind() != "CustomResourceDefinition" {
			continue // a ValidatingAdmissionPolicy, which OLM does not know
		}
		delete(definition, "status")
		files["manifests/"+definition.name()+".yaml"] = definition
	}
	for _, installed := range s.installed {
		if !beside(installed) {
			continue
		}
		group, _, _ := strings.Cut(fmt.Sprint(installed["apiVersion"]), "/")
		if group == "v1" {
			group = "core"
		}
		anywhere(installed)
		files[fmt.Sprintf("manifests/%s_%s_%s.yaml", installed.name(), group, strings.ToLower(installed.kind()))] = map[string]any(installed)
	}
	csv, err := csvOf(o, s)
	if err != nil {
		return nil, err
	}
	files["manifests/"+packageName+".clusterserviceversion.yaml"] = csv
	out := map[string][]byte{}
	for name, content := range files {
		text, err := yaml.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		out[name] = text
	}
	return out, nil
}

// beside tells of what lies in the bundle as it is. Deployment, ServiceAccount and the operator's roles are in the
// ClusterServiceVersion; the namespace and its policies are the administrator's, and so is what belongs to no namespace, roles for
// users and the priority: OLM would leave it when the operator goes. It makes roles for users itself.
func beside(o object) bool {
	return o.kind() == "Service" || o.kind() == "PodDisruptionBudget" // older versions of OLM refuse a NetworkPolicy
}

// anywhere takes the namespace off: OLM puts the objects where it installs the operator.
func anywhere(o object) {
	delete(o.meta(), "namespace")
	if labels, ok := o.meta()["labels"].(map[string]any); ok {
		delete(labels, "app.kubernetes.io/managed-by")
	}
}

// annotations are the bundle's metadata, and the labels of its image.
func annotations() map[string]string {
	return map[string]string{
		"operators.operatorframework.io.bundle.mediatype.v1":       "registry+v1",
		"operators.operatorframework.io.bundle.manifests.v1":       "manifests/",
		"operators.operatorframework.io.bundle.metadata.v1":        "metadata/",
		"operators.operatorframework.io.bundle.package.v1":         packageName,
		"operators.operatorframework.io.bundle.channels.v1":        channel,
		"operators.operatorframework.io.bundle.channel.default.v1": channel,
		"operators.operatorframework.io.test.mediatype.v1":         "scorecard+v1",
		"operators.operatorframework.io.test.config.v1":            "tests/scorecard/",
	}
}

// scorecard is the configuration of `operator-sdk scorecard`: its built-in tests.
func scorecard() map[string]any {
	const image = "quay.io/operator-framework/scorecard-test:v1.42.0"
	test := func(suite string, entrypoint ...string) map[string]any {
		return map[string]any{
			"entrypoint": append([]string{"scorecard-test"}, entrypoint...), "image": image,
			"labels":  map[string]string{"suite": suite, "test": entrypoint[0] + "-test"},
			"storage": map[string]any{"spec": map[string]any{"mountPath": map[string]any{}}},
		}
	}
	return map[string]any{
		"apiVersion": "scorecard.operatorframework.io/v1alpha3", "kind": "Configuration",
		"metadata": map[string]any{"name": "config"},
		"stages": []any{map[string]any{"parallel": true, "tests": []any{
			test("basic", "basic-check-spec"), test("olm", "olm-bundle-validation"), test("olm", "olm-crds-have-validation"),
			test("olm", "olm-crds-have-resources"), test("olm", "olm-spec-descriptors"), test("olm", "olm-status-descriptors"),
		}}},
		"storage": map[string]any{"spec": map[string]any{"mountPath": map[string]any{}}},
	}
}
