// SPDX-License-Identifier: Apache-2.0

package datapower_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/internal/crdtest"
)

// maxClientSideApply is the most that all annotations of an object may hold, in bytes. kubectl apply keeps the whole
// object in one of them.
const maxClientSideApply = 256 * 1024

// column is a printer column without its description.
func column(name, kind, path string) apiextensionsv1.CustomResourceColumnDefinition {
	return apiextensionsv1.CustomResourceColumnDefinition{Name: name, Type: kind, JSONPath: path}
}

// wide is a column that only kubectl get -o wide shows. Ours are added: the others are as users know them.
func wide(column apiextensionsv1.CustomResourceColumnDefinition) apiextensionsv1.CustomResourceColumnDefinition {
	column.Priority = 1
	return column
}

var (
	ageColumn     = column("Age", "date", ".metadata.creationTimestamp")
	readyColumn   = column("Ready", "string", `.status.conditions[?(@.type=="Ready")].status`)
	summaryColumn = column("Summary", "string", `.status.conditions[?(@.type=="Ready")].message`)
	versionColumn = column("Version", "string", ".status.versions.reconciled")
	phaseColumn   = column("Phase", "string", ".status.phase")

	statusOnly = apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}}
)

// definedVersion is what is wanted of one version.
type definedVersion struct {
	served, stored bool
	columns        []apiextensionsv1.CustomResourceColumnDefinition
	subresources   apiextensionsv1.CustomResourceSubresources
}

// definitionTests are the definitions as users of IBM's operator up to 1.13 know them.
var definitionTests = map[string]struct {
	file     string
	crd      string
	names    apiextensionsv1.CustomResourceDefinitionNames
	versions map[string]definedVersion
}{
	"DataPowerService": {
		file: servicesFile,
		crd:  "datapowerservices.datapower.ibm.com",
		names: apiextensionsv1.CustomResourceDefinitionNames{
			Plural: "datapowerservices", Singular: "datapowerservice", ShortNames: []string{"dp"},
			Kind: "DataPowerService", ListKind: "DataPowerServiceList",
			Categories: []string{"all", "apic", "integration", "cp4i"},
		},
		versions: map[string]definedVersion{
			"v1beta1": {
				served: true,
				columns: []apiextensionsv1.CustomResourceColumnDefinition{
					readyColumn, summaryColumn, versionColumn,
					column("Error", "string", `.status.conditions[?(@.type=="ReconcileError")].message`), ageColumn,
				},
				subresources: statusOnly,
			},
			"v1beta2": {
				served:       true,
				columns:      []apiextensionsv1.CustomResourceColumnDefinition{phaseColumn, readyColumn, summaryColumn, versionColumn, ageColumn},
				subresources: statusOnly,
			},
			"v1beta3": {
				served: true, stored: true,
				columns: []apiextensionsv1.CustomResourceColumnDefinition{phaseColumn, readyColumn, summaryColumn, versionColumn, ageColumn},
				subresources: apiextensionsv1.CustomResourceSubresources{
					Status: statusOnly.Status,
					Scale: &apiextensionsv1.CustomResourceSubresourceScale{
						SpecReplicasPath: ".spec.replicas", StatusReplicasPath: ".status.replicas", LabelSelectorPath: ptr.To(".status.labelSelector"),
					},
				},
			},
		},
	},
	"DataPowerMonitor": {
		file: monitorsFile,
		crd:  "datapowermonitors.datapower.ibm.com",
		names: apiextensionsv1.CustomResourceDefinitionNames{
			Plural: "datapowermonitors", Singular: "datapowermonitor", ShortNames: []string{"dpm"},
			Kind: "DataPowerMonitor", ListKind: "DataPowerMonitorList",
			Categories: []string{"all", "apic", "integration", "cp4i"},
		},
		versions: map[string]definedVersion{
			"v1beta2": {
				served: true, stored: true,
				columns: []apiextensionsv1.CustomResourceColumnDefinition{
					phaseColumn,
					column("Last Event", "string", ".status.lastEvent"),
					column("Work Pending", "boolean", ".status.workPending"),
					column("Work In-Progress", "boolean", ".status.workInProgress"),
					ageColumn,
					wide(column("Peering Healthy", "string", `.status.conditions[?(@.type=="PeeringHealthy")].status`)),
					wide(column("Reason", "string", `.status.conditions[?(@.type=="PeeringHealthy")].reason`)),
					wide(column("Last Work", "string", ".status.lastWork.result")),
				},
				subresources: statusOnly,
			},
		},
	},
}

func TestDefinitions(t *testing.T) {
	for kind, test := range definitionTests {
		t.Run(kind+" has the names, versions, columns and subresources that its users know", func(t *testing.T) {
			crd := crdtest.Load(t, test.file).CRD
			assert.Equal(t, test.crd, crd.Name)
			assert.Equal(t, "datapower.ibm.com", crd.Spec.Group)
			assert.Equal(t, apiextensionsv1.NamespaceScoped, crd.Spec.Scope)
			assert.Equal(t, apiextensionsv1.NoneConverter, crd.Spec.Conversion.Strategy)
			assert.Equal(t, test.names, crd.Spec.Names)
			assert.Equal(t, map[string]string{
				"app.kubernetes.io/instance":   "datapower-operator",
				"app.kubernetes.io/managed-by": "datapower-operator",
				"app.kubernetes.io/name":       test.crd,
			}, crd.Labels)
			assert.Contains(t, crd.Annotations, "datapower.ibm.com/operator-version")

			got := map[string]definedVersion{}
			for _, v := range crd.Spec.Versions {
				for i := range v.AdditionalPrinterColumns {
					v.AdditionalPrinterColumns[i].Description = ""
				}
				got[v.Name] = definedVersion{
					served: v.Served, stored: v.Storage, columns: v.AdditionalPrinterColumns, subresources: *v.Subresources,
				}
			}
			assert.Equal(t, test.versions, got)
		})
		t.Run(kind+" is small enough for kubectl apply", func(t *testing.T) {
			text, err := os.ReadFile(test.file)
			require.NoError(t, err)
			var crd map[string]any
			require.NoError(t, yaml.Unmarshal(text, &crd))
			annotation, err := json.Marshal(crd)
			require.NoError(t, err)
			// 16 KiB remain for the other annotations.
			assert.Less(t, len(annotation), maxClientSideApply-16*1024)
		})
	}
}

// TestEveryFieldIsDescribed keeps kubectl explain useful.
func TestEveryFieldIsDescribed(t *testing.T) {
	for _, file := range []string{servicesFile, monitorsFile} {
		for _, v := range crdtest.Load(t, file).CRD.Spec.Versions {
			requireDescriptions(t, v.Schema.OpenAPIV3Schema, v.Name)
		}
	}
}

func requireDescriptions(t *testing.T, schema *apiextensionsv1.JSONSchemaProps, path string) {
	t.Helper()
	for name := range schema.Properties {
		child := schema.Properties[name]
		if path != "metadata" && name != "metadata" {
			assert.NotEmpty(t, child.Description, "%s.%s", path, name)
		}
		requireDescriptions(t, &child, path+"."+name)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		requireDescriptions(t, schema.Items.Schema, path+"[]")
	}
}
