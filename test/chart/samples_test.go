// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/scanner"

	"github.com/stretchr/testify/require"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"sigs.k8s.io/yaml"
)

// sample is a published DataPowerService.
type sample struct {
	release release
	spec    map[string]any
}

// samples reads the published resources beside the repository, or skips the test when they are not there.
func samples(t *testing.T) map[string]sample {
	t.Helper()
	found := samplesIfThere(t)
	if found == nil {
		t.Skip("the published samples are not beside this repository")
	}
	return found
}

// samplesIfThere reads the published resources, nil when they are not there. Placeholders of their authors are filled in,
// and what the API server does before the operator sees a resource is done: unknown fields are pruned. Older API versions
// lack license.license, which conversion fills in.
func samplesIfThere(t *testing.T) map[string]sample {
	t.Helper()
	files, err := os.ReadDir(samplesFolder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	found := map[string]sample{}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(samplesFolder, file.Name()))
		require.NoError(t, err)
		name := strings.TrimSuffix(file.Name(), filepath.Ext(file.Name()))
		found[name] = parseSample(t, filepath.Ext(file.Name()), fillIn(string(text)))
	}
	return found
}

// fillIn replaces the placeholders of the samples.
func fillIn(text string) string {
	return strings.NewReplacer(
		"$my_cp_datapower_instance_name", "capability", "$VAR_APIC_NAMESPACE", "apic",
		"$my_ibm_cp_datapower_version", "10.6-lts", "$my_ibm_cp_datapower_license", "L-LQQV-WT4TTD",
		"PARM_DP_SERVICE_NAME", "dp-demo", "PARM_REPLICA_COUNT", "1", "PARM_LIMITS_CPU", "4", "PARM_LIMITS_MEMORY", "4Gi",
		"${release_name}", "datapower", "${namespace}", "cp4i", "${flavour}", "nonproduction",
		"${replicas}", "1", "${memory_limit}", "4Gi",
	).Replace(text)
}

var (
	hereDocument = regexp.MustCompile(`(?s)YAML=\$\(cat <<EOF\n(.*?)\nEOF\n`)
	hclManifest  = regexp.MustCompile(`(?s)"kubernetes_manifest"[^\n]*\n\s*manifest = (\{.*)`)
)

func parseSample(t *testing.T, extension, text string) sample {
	t.Helper()
	var resource map[string]any
	switch extension {
	case ".sh":
		match := hereDocument.FindStringSubmatch(text)
		require.NotNil(t, match)
		resource = parseResource(t, match[1])
	case ".tf":
		match := hclManifest.FindStringSubmatch(text)
		require.NotNil(t, match)
		resource, _ = newHCL(match[1]).value().(map[string]any)
	default:
		resource = parseResource(t, text)
	}
	require.NotNil(t, resource, "no DataPowerService")
	spec := resource["spec"].(map[string]any)
	prune(t, spec)
	if license := spec["license"].(map[string]any); license["license"] == nil {
		license["license"] = "L-RJON-CCCP46"
	}
	metadata := resource["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	if namespace == "" {
		namespace = "default"
	}
	return sample{release{metadata["name"].(string), namespace}, spec}
}

// parseResource is the DataPowerService among the documents of a YAML file.
func parseResource(t *testing.T, text string) map[string]any {
	t.Helper()
	for _, document := range strings.Split(text, "\n---\n") {
		var resource map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(document), &resource))
		if resource["kind"] == "DataPowerService" {
			return resource
		}
	}
	return nil
}

// crd reads a custom resource definition of this repository.
func crd(t testing.TB, name string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(crdFolder, name))
	require.NoError(t, err)
	var definition apiextensionsv1.CustomResourceDefinition
	require.NoError(t, yaml.UnmarshalStrict(text, &definition))
	return &definition
}

// specSchema is the schema of spec of a DataPowerService of version v1beta3.
func specSchema(t testing.TB) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	for _, version := range crd(t, "datapower.ibm.com_datapowerservices.yaml").Spec.Versions {
		if version.Name == "v1beta3" {
			return version.Schema.OpenAPIV3Schema.Properties["spec"]
		}
	}
	require.Fail(t, "no v1beta3")
	return apiextensionsv1.JSONSchemaProps{}
}

// prune removes from a spec what the schema does not know, as the API server does.
func prune(t *testing.T, spec map[string]any) {
	t.Helper()
	schema := specSchema(t)
	var internal apiextensions.JSONSchemaProps
	require.NoError(t, apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&schema, &internal, nil))
	structural, err := structuralschema.NewStructural(&internal)
	require.NoError(t, err)
	pruning.Prune(spec, structural, false)
}

// hcl reads the object notation of a Terraform file: { key = value ... } and [value, ...].
type hcl struct {
	scanner scanner.Scanner
	token   rune
}

func newHCL(text string) *hcl {
	h := &hcl{}
	h.scanner.Init(strings.NewReader(text))
	h.next()
	return h
}

func (h *hcl) next() { h.token = h.scanner.Scan() }

// value reads one value and moves behind it.
func (h *hcl) value() any {
	switch h.token {
	case '{':
		object := map[string]any{}
		for h.next(); h.token != '}' && h.token != scanner.EOF; {
			if h.token == ',' {
				h.next()
				continue
			}
			key := strings.Trim(h.scanner.TokenText(), `"`)
			h.next() // the key
			h.next() // the equals sign
			object[key] = h.value()
		}
		h.next()
		return object
	case '[':
		list := []any{}
		for h.next(); h.token != ']' && h.token != scanner.EOF; {
			if h.token == ',' {
				h.next()
				continue
			}
			list = append(list, h.value())
		}
		h.next()
		return list
	}
	var scalar any
	if json.Unmarshal([]byte(h.scanner.TokenText()), &scalar) != nil {
		scalar = h.scanner.TokenText()
	}
	h.next()
	return scalar
}
