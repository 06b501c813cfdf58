// SPDX-License-Identifier: Apache-2.0

// Package openapischema turns the OpenAPI v3 documents of an API server into JSON Schemas that stand alone, one per kind,
// for validators that do not speak to a cluster. The schemas are strict: an object whose fields are known has no others.
package openapischema

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/openapi"
)

// LocationTemplate is the name of a schema's file as a template of kubeconform, which calls the group of the core kinds
// "v1". FileName computes the same.
const LocationTemplate = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"

var (
	// ErrUnknownKind: the API server does not serve the kind.
	ErrUnknownKind = errors.New("the API server has no schema of it")
	// ErrMalformed: a document is not what OpenAPI v3 promises.
	ErrMalformed = errors.New("malformed OpenAPI document")
)

// node is a JSON object of a schema.
type node = map[string]any

// Write writes the schema of each kind into a folder. The documents come from the API server's discovery client.
func Write(client openapi.Client, folder string, kinds []schema.GroupVersionKind) error {
	paths, err := client.Paths()
	if err != nil {
		return fmt.Errorf("while listing the OpenAPI documents: %w", err)
	}
	for _, kind := range kinds {
		path := "apis/" + kind.GroupVersion().String()
		if kind.Group == "" {
			path = "api/" + kind.Version
		}
		document, found := paths[path]
		if !found {
			return fmt.Errorf("%s: %w", kind, ErrUnknownKind)
		}
		text, err := document.Schema("application/json")
		if err != nil {
			return fmt.Errorf("while reading the OpenAPI document %s: %w", path, err)
		}
		converted, err := Convert(text, kind)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, FileName(kind)), converted, 0o644); err != nil {
			return fmt.Errorf("while writing a schema: %w", err)
		}
	}
	return nil
}

// FileName is the name of the file with the schema of a kind.
func FileName(kind schema.GroupVersionKind) string {
	group := kind.Group
	if group == "" {
		group = kind.Version
	}
	return strings.ToLower(group + "_" + kind.Version + "_" + kind.Kind + ".json")
}

// Convert is the JSON Schema of a kind that an OpenAPI v3 document describes. It fails with ErrUnknownKind or
// ErrMalformed.
func Convert(document []byte, kind schema.GroupVersionKind) ([]byte, error) {
	var parsed struct {
		Components struct {
			Schemas map[string]node `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(document, &parsed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	c := converter{schemas: parsed.Components.Schemas}
	for name, candidate := range c.schemas {
		if !describes(candidate, kind) {
			continue
		}
		converted, err := c.convert(candidate, []string{name})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		return json.MarshalIndent(converted, "", "  ")
	}
	return nil, fmt.Errorf("%s: %w", kind, ErrUnknownKind)
}

// describes tells whether a schema is that of a kind.
func describes(candidate node, kind schema.GroupVersionKind) bool {
	kinds, _ := candidate["x-kubernetes-group-version-kind"].([]any)
	for _, entry := range kinds {
		fields, _ := entry.(node)
		if len(kinds) == 1 && fields["group"] == kind.Group && fields["version"] == kind.Version && fields["kind"] == kind.Kind {
			return true
		}
	}
	return false
}

// converter replaces the references of a schema by what they refer to.
type converter struct{ schemas map[string]node }

// convert is the strict, standalone form of a schema. The trail names the schemas that the way here went through.
func (c converter) convert(in node, trail []string) (node, error) {
	if reference, isReference := in["$ref"].(string); isReference {
		return c.follow(reference, trail)
	}
	out := node{}
	for key, value := range in {
		if strings.HasPrefix(key, "x-kubernetes-") || key == "default" || key == "description" {
			continue
		}
		converted, err := c.convertKeyword(key, value, trail)
		if err != nil {
			return nil, err
		}
		out[key] = converted
	}
	_, hasFields := out["properties"]
	_, saysMore := out["additionalProperties"]
	if keeps, _ := in["x-kubernetes-preserve-unknown-fields"].(bool); hasFields && !saysMore && !keeps {
		out["additionalProperties"] = false
	}
	return out, nil
}

// convertKeyword converts what belongs to one keyword of a schema.
func (c converter) convertKeyword(key string, value any, trail []string) (any, error) {
	switch inner := value.(type) {
	case []any:
		if key != "allOf" && key != "anyOf" && key != "oneOf" {
			return value, nil
		}
		list := make([]any, 0, len(inner))
		for _, entry := range inner {
			child, isNode := entry.(node)
			if !isNode {
				return nil, ErrMalformed
			}
			converted, err := c.convert(child, trail)
			if err != nil {
				return nil, err
			}
			list = append(list, converted)
		}
		return list, nil
	case node:
		if key != "properties" {
			return c.convert(inner, trail)
		}
		fields := node{}
		for name, field := range inner {
			child, isNode := field.(node)
			if !isNode {
				return nil, ErrMalformed
			}
			converted, err := c.convert(child, trail)
			if err != nil {
				return nil, err
			}
			fields[name] = converted
		}
		return fields, nil
	}
	return value, nil
}

// follow converts what a reference refers to. A schema that contains itself is open where it does.
func (c converter) follow(reference string, trail []string) (node, error) {
	name, isLocal := strings.CutPrefix(reference, "#/components/schemas/")
	target, found := c.schemas[name]
	if !isLocal || !found {
		return nil, fmt.Errorf("%w: reference to %s", ErrMalformed, reference)
	}
	for _, before := range trail {
		if before == name {
			return node{}, nil
		}
	}
	return c.convert(target, append(append([]string{}, trail...), name))
}
