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
// ClusterServiceVersion; the namespace and its policies are the administrator's, the priority would be too.
func beside(o object) bool {
	switch o.kind() {
	case "Service", "PodDisruptionBudget": // a NetworkPolicy is a kind that bundles cannot have
		return true
	case "ClusterRole":
		return !strings.HasPrefix(o.name(), namespace+".")
	}
	return false
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

// shown is what a catalogue tells of a ClusterServiceVersion (olm.csv.metadata of operator-registry); the rest is in the bundle's
// image.
func shown(csv map[string]any) map[string]any {
	meta, spec := csv["metadata"].(map[string]any), csv["spec"].(map[string]any)
	out := map[string]any{"annotations": meta["annotations"], "labels": meta["labels"], "crdDescriptions": spec["customresourcedefinitions"]}
	for _, key := range []string{
		"description", "displayName", "installModes", "keywords", "links", "maintainers", "maturity", "minKubeVersion", "provider",
	} {
		out[key] = spec[key]
	}
	return out
}

// catalogueOf is a file-based catalogue with the bundle in it.
func catalogueOf(o options, s sources) ([]byte, error) {
	entry := map[string]any{"name": packageName + ".v" + o.version}
	if o.replaces != "" {
		entry["replaces"] = packageName + ".v" + o.replaces
	}
	properties := []any{map[string]any{"type": "olm.package", "value": map[string]any{"packageName": packageName, "version": o.version}}}
	for _, definition := range s.definitions {
		for _, gvk := range kindsOf(definition) {
			properties = append(properties, map[string]any{"type": "olm.gvk", "value": gvk})
		}
	}
	csv, err := csvOf(o, s)
	if err != nil {
		return nil, err
	}
	properties = append(properties, map[string]any{"type": "olm.csv.metadata", "value": shown(csv)})
	images := []any{map[string]any{"name": "", "image": o.bundleImage}}
	for _, related := range relatedImages(o, s) {
		images = append(images, map[string]any{"name": related.Name, "image": related.Image})
	}
	var out []byte
	for _, blob := range []any{
		map[string]any{"schema": "olm.package", "name": packageName, "defaultChannel": channel, "description": summary,
			"icon": map[string]any{"base64data": s.icon, "mediatype": "image/svg+xml"}},
		map[string]any{"schema": "olm.channel", "package": packageName, "name": channel, "entries": []any{entry}},
		map[string]any{"schema": "olm.bundle", "name": packageName + ".v" + o.version, "package": packageName, "image": o.bundleImage,
			"properties": properties, "relatedImages": images},
	} {
		text, err := yaml.Marshal(blob)
		if err != nil {
			return nil, fmt.Errorf("writing the catalogue: %w", err)
		}
		out = append(append(out, "---\n"...), text...)
	}
	return out, nil
}
