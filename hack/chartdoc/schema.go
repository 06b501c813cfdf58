// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// errNoSpec: the custom resource definition has no spec in the wanted version.
var errNoSpec = errors.New("has no schema of spec")

// open are the fields whose inside the schema does not describe: types of Kubernetes, which the API server checks and
// which would be nine tenths of the schema that Helm compiles at every rendering, and what is ignored anyway.
var open = map[string]bool{
	"affinity":           true,
	"env[].valueFrom":    true,
	"jaegerTracing":      true,
	"lifecycle":          true,
	"livenessProbe":      true,
	"odTracing":          true,
	"readinessProbe":     true,
	"storage[].selector": true,
	"tolerations[]":      true,
}

// waived are fields that v1beta3 requires and the chart does not: services of the older versions, which the conversion
// webhook brings to v1beta3, may lack them.
var waived = map[string]bool{
	"license.license": true,
}

// object is a JSON object on its way to a JSON Schema.
type object = map[string]any

// valuesSchema is the JSON Schema (draft 7) of the values. A key that is a field of the spec has the schema of the custom
// resource definition, any other key that of its default. Unknown keys are refused wherever the keys are known.
//
// Every optional value may be null, which to Helm means absent. Keys that the spec requires are not required at the root:
// the chart's own values.yaml is checked against the schema too, and says none of them.
func (src source) valuesSchema(entries []entry, crd []byte) ([]byte, error) {
	spec, err := specSchema(crd, src.version)
	if err != nil {
		return nil, err
	}
	root := object{
		"$schema":              "http://json-schema.org/draft-07/schema#",
		"title":                "Values of the chart " + filepath.Base(src.folder),
		"type":                 "object",
		"properties":           object{},
		"additionalProperties": keepsUnknown(*spec),
	}
	for _, e := range entries {
		field, isSpec := spec.Properties[e.path[0]]
		schema := fromDefault(e.kind)
		switch {
		case isSpec && slices.Contains(src.loose, e.path[0]):
			schema = object{}
		case isSpec:
			schema = fromCRD(e.path[0], field)
			nullable(schema)
		}
		schema["description"] = e.description
		insert(root, e.path, schema)
	}
	for name := range spec.Properties {
		if _, found := root["properties"].(object)[name]; !found {
			return nil, fmt.Errorf("spec.%s is not in values.yaml", name)
		}
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// specSchema is the schema of spec in a version of a custom resource definition.
func specSchema(text []byte, version string) (*apiextensionsv1.JSONSchemaProps, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		return nil, fmt.Errorf("while reading a custom resource definition: %w", err)
	}
	for _, v := range crd.Spec.Versions {
		if v.Name != version || v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			continue
		}
		if spec, found := v.Schema.OpenAPIV3Schema.Properties["spec"]; found {
			return &spec, nil
		}
	}
	return nil, fmt.Errorf("%s, version %s: %w", crd.Name, version, errNoSpec)
}

// insert puts a schema at a path below an object schema, making the object schemas between.
func insert(parent object, path []string, schema object) {
	properties := parent["properties"].(object)
	if len(path) == 1 {
		properties[path[0]] = schema
		return
	}
	child, found := properties[path[0]].(object)
	if !found {
		child = object{"type": "object", "properties": object{}, "additionalProperties": false}
		properties[path[0]] = child
	}
	insert(child, path[1:], schema)
}

// fromDefault is the schema of a chart-only key, from its type.
func fromDefault(kind string) object {
	types := []any{}
	for _, name := range strings.Split(kind, "|") {
		switch name {
		case "int":
			types = append(types, "integer")
		case "bool":
			types = append(types, "boolean")
		case "list":
			types = append(types, "array")
		default:
			types = append(types, name)
		}
	}
	return object{"type": append(types, "null")}
}

// fromCRD translates the schema of the field at a path. Rules in CEL, list types and defaults have no counterpart here;
// the API server has them.
func fromCRD(path string, in apiextensionsv1.JSONSchemaProps) object {
	if open[path] {
		return object{"type": []any{"object"}}
	}
	out := object{}
	switch {
	case in.XIntOrString:
		out["type"] = []any{"integer", "string"}
	case in.Type != "":
		out["type"] = []any{in.Type}
	}
	if len(in.Enum) > 0 {
		values := []any{}
		for _, value := range in.Enum {
			values = append(values, json.RawMessage(value.Raw))
		}
		out["enum"] = values
	}
	bounds(in, out)
	if in.Items != nil && in.Items.Schema != nil {
		out["items"] = fromCRD(path+"[]", *in.Items.Schema)
	}
	if in.AdditionalProperties != nil && in.AdditionalProperties.Schema != nil {
		out["additionalProperties"] = fromCRD(path+"{}", *in.AdditionalProperties.Schema)
	}
	if len(in.Properties) > 0 {
		properties(path, in, out)
	}
	return out
}

// properties translates the fields of an object.
func properties(path string, in apiextensionsv1.JSONSchemaProps, out object) {
	fields := object{}
	required := slices.DeleteFunc(slices.Clone(in.Required), func(name string) bool { return waived[path+"."+name] })
	for name, field := range in.Properties {
		schema := fromCRD(path+"."+name, field)
		if !slices.Contains(required, name) {
			nullable(schema)
		}
		fields[name] = schema
	}
	out["properties"] = fields
	if !keepsUnknown(in) {
		out["additionalProperties"] = false
	}
	if len(required) > 0 {
		out["required"] = required
	}
}

// keepsUnknown tells whether the API server keeps fields of an object that its schema does not name.
func keepsUnknown(in apiextensionsv1.JSONSchemaProps) bool {
	return in.XPreserveUnknownFields != nil && *in.XPreserveUnknownFields
}

// bounds translates what restricts strings, numbers and sizes.
func bounds(in apiextensionsv1.JSONSchemaProps, out object) {
	if in.Pattern != "" {
		out["pattern"] = in.Pattern
	}
	for key, bound := range map[string]*float64{"minimum": in.Minimum, "maximum": in.Maximum} {
		if bound != nil {
			out[key] = *bound
		}
	}
	sizes := map[string]*int64{
		"minLength": in.MinLength, "maxLength": in.MaxLength, "minItems": in.MinItems, "maxItems": in.MaxItems,
		"maxProperties": in.MaxProperties,
	}
	for key, size := range sizes {
		if size != nil {
			out[key] = *size
		}
	}
}

// nullable lets a schema accept null.
func nullable(schema object) {
	if types, found := schema["type"].([]any); found {
		schema["type"] = append(types, "null")
	}
	if values, found := schema["enum"].([]any); found {
		schema["enum"] = append(values, nil)
	}
}
