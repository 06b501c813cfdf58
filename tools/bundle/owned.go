package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/operator-framework/api/pkg/operators/v1alpha1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// kindsOf are the kinds that a definition serves.
func kindsOf(definition object) []map[string]any {
	if definition.kind() != "CustomResourceDefinition" {
		return nil
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if typed(definition, &crd) != nil {
		return nil // ownedOf has said why
	}
	var out []map[string]any
	for _, v := range crd.Spec.Versions {
		out = append(out, map[string]any{"group": crd.Spec.Group, "kind": crd.Spec.Names.Kind, "version": v.Name})
	}
	return out
}

// resources are what a kind becomes, for user interfaces that show the objects of a resource.
var resources = map[string][]v1alpha1.APIResourceReference{
	"DataPowerService": {
		{Kind: "ConfigMap", Version: "v1"}, {Kind: "DataPowerMonitor", Version: "v1beta2", Name: "datapowermonitors.datapower.ibm.com"},
		{Kind: "HorizontalPodAutoscaler", Version: "v2"}, {Kind: "Pod", Version: "v1"}, {Kind: "Secret", Version: "v1"},
		{Kind: "Service", Version: "v1"}, {Kind: "ServiceAccount", Version: "v1"}, {Kind: "StatefulSet", Version: "v1"},
	},
	"DataPowerMonitor": {{Kind: "Pod", Version: "v1"}},
}

// ownedOf describes every kind, version and field.
func ownedOf(s sources) ([]v1alpha1.CRDDescription, error) {
	var out []v1alpha1.CRDDescription
	for _, definition := range s.definitions {
		if definition.kind() != "CustomResourceDefinition" {
			continue
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := typed(definition, &crd); err != nil {
			return nil, err
		}
		for _, v := range crd.Spec.Versions {
			schema := v.Schema.OpenAPIV3Schema
			d := v1alpha1.CRDDescription{
				Name: crd.Name, Version: v.Name, Kind: crd.Spec.Names.Kind, DisplayName: displayName(crd.Spec.Names.Kind),
				Description: oneLine(schema.Description), Resources: resources[crd.Spec.Names.Kind],
			}
			for _, f := range fieldsOf(schema.Properties["spec"], "", map[string]bool{}) {
				d.SpecDescriptors = append(d.SpecDescriptors, v1alpha1.SpecDescriptor{
					Path: f.path, DisplayName: f.title, Description: f.description, XDescriptors: f.hints(),
				})
			}
			for _, f := range fieldsOf(schema.Properties["status"], "", map[string]bool{}) {
				d.StatusDescriptors = append(d.StatusDescriptors, v1alpha1.StatusDescriptor{
					Path: f.path, DisplayName: f.title, Description: f.description, XDescriptors: f.statusHints(),
				})
			}
			out = append(out, d)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("config/crd has no definitions")
	}
	slices.SortFunc(out, func(a, b v1alpha1.CRDDescription) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return out, nil
}

// field is one of a schema.
type field struct {
	path, title, description, kind, format string
	enum                                   []string
}

// depth is how far descriptors go: below it are Kubernetes' own types, which user interfaces edit as YAML.
const depth = 4

// fieldsOf lists the fields of a schema, each after the one that it is in. Elements of lists are at [0].
func fieldsOf(schema apiextensionsv1.JSONSchemaProps, prefix string, seen map[string]bool) []field {
	var out []field
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		inner := schema.Properties[name]
		path := name
		if prefix != "" {
			path = prefix + "." + name
		}
		f := field{path: path, title: displayName(name), description: oneLine(inner.Description), kind: inner.Type, format: inner.Format}
		for _, e := range inner.Enum {
			f.enum = append(f.enum, strings.Trim(string(e.Raw), `"`))
		}
		if f.description == "" {
			f.description = f.title
		}
		if !seen[path] {
			out, seen[path] = append(out, f), true
		}
		if strings.Count(path, ".") >= depth-1 || kubernetes[name] {
			continue
		}
		out = append(out, fieldsOf(inner, path, seen)...)
		if inner.Items != nil && inner.Items.Schema != nil {
			out = append(out, fieldsOf(*inner.Items.Schema, path+"[0]", seen)...)
		}
	}
	return out
}

// kubernetes are fields whose types are Kubernetes' own.
var kubernetes = map[string]bool{
	"affinity": true, "conditions": true, "env": true, "hostAliases": true, "lifecycle": true, "livenessProbe": true, "readinessProbe": true,
	"resources": true, "tolerations": true,
}

const hint = "urn:alm:descriptor:com.tectonic.ui:"

// hints tell user interfaces how to edit a field.
func (f field) hints() []string {
	last := f.path[strings.LastIndex(f.path, ".")+1:]
	switch {
	case last == "replicas":
		return []string{hint + "podCount"}
	case last == "resources":
		return []string{hint + "resourceRequirements"}
	case last == "imagePullPolicy":
		return []string{hint + "imagePullPolicy"}
	case last == "nodeSelector" || last == "affinity" || last == "tolerations":
		return []string{hint + "advanced"}
	case last == "serviceAccountName":
		return []string{"urn:alm:descriptor:io.kubernetes:ServiceAccount"}
	case strings.HasSuffix(last, "Secret") || last == "secretName":
		return []string{"urn:alm:descriptor:io.kubernetes:Secret"}
	case len(f.enum) > 0:
		out := make([]string, 0, len(f.enum))
		for _, value := range f.enum {
			out = append(out, hint+"select:"+value)
		}
		return out
	case f.kind == "boolean":
		return []string{hint + "booleanSwitch"}
	case f.kind == "integer":
		return []string{hint + "number"}
	case f.kind == "string":
		return []string{hint + "text"}
	}
	return nil
}

// statusHints tell how to show a field.
func (f field) statusHints() []string {
	switch f.path {
	case "conditions":
		return []string{"urn:alm:descriptor:io.kubernetes.conditions"}
	case "phase":
		return []string{"urn:alm:descriptor:io.kubernetes.phase"}
	}
	return nil
}

var (
	boundary = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	blanks   = regexp.MustCompile(`\s+`)
)

// displayName makes words of a name: "passwordSecret" is "Password Secret".
func displayName(name string) string {
	if strings.HasPrefix(name, "DataPower") {
		return "DataPower " + strings.TrimPrefix(name, "DataPower")
	}
	words := []rune(boundary.ReplaceAllString(name, "$1 $2"))
	if len(words) > 0 {
		words[0] = unicode.ToUpper(words[0])
	}
	return string(words)
}

// oneLine is the first paragraph of a description in one line.
func oneLine(text string) string {
	first, _, _ := strings.Cut(text, "\n\n")
	return strings.TrimSpace(blanks.ReplaceAllString(first, " "))
}
