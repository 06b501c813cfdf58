// SPDX-License-Identifier: Apache-2.0

package datapower_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/datapower-operator/datapower-operator/api/internal/crdtest"
)

// creationRules are the rules of v1beta3 that hold for a new object, by subject.
var creationRules = []map[string]rule{licenseRules, userRules, domainRules, resourceRules, storageRules, podRules}

func TestRulesOfCreation(t *testing.T) {
	services := loadServices(t)
	for _, group := range creationRules {
		for name, test := range group {
			t.Run(name, func(t *testing.T) { requireRule(t, services, "v1beta3", test) })
		}
	}
	for _, version := range []string{"v1beta1", "v1beta2", "v1beta3"} {
		t.Run("the smallest service is accepted in "+version, func(t *testing.T) {
			_, errs := services.Create(t, service(t, version, "{}"))
			assert.Empty(t, errs)
		})
	}
}

func requireRule(t *testing.T, services *crdtest.Definition, version string, test rule) {
	t.Helper()
	for _, spec := range test.accepted {
		_, errs := services.Create(t, service(t, version, spec))
		assert.Empty(t, errs, spec)
	}
	_, errs := services.Create(t, service(t, version, test.refused))
	requireRefused(t, errs, test.path, test.message)
}

// TestEveryRuleIsTested finds CEL rules that no test provokes.
func TestEveryRuleIsTested(t *testing.T) {
	var provoked []string
	for _, group := range creationRules {
		for _, test := range group {
			provoked = append(provoked, test.message)
		}
	}
	for _, test := range updateRules {
		provoked = append(provoked, test.message)
	}
	for _, test := range nameRules {
		provoked = append(provoked, test.message)
	}
	for _, v := range loadServices(t).CRD.Spec.Versions {
		for _, message := range ruleMessages(v.Schema.OpenAPIV3Schema) {
			tested := slices.ContainsFunc(provoked, func(part string) bool {
				return part != "" && strings.Contains(message, part)
			})
			assert.True(t, tested, "%s: %s", v.Name, message)
		}
	}
}

func ruleMessages(schema *apiextensionsv1.JSONSchemaProps) []string {
	var messages []string
	for _, rule := range schema.XValidations {
		messages = append(messages, rule.Message)
	}
	for name := range schema.Properties {
		child := schema.Properties[name]
		messages = append(messages, ruleMessages(&child)...)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		messages = append(messages, ruleMessages(schema.Items.Schema)...)
	}
	return messages
}

// olderRules hold in v1beta1 and v1beta2 alike.
var olderRules = map[string]rule{
	"the licence must be accepted": {
		refused: `license: {accept: false, use: production}`,
		path:    "spec.license.accept",
		message: "license.accept must be true",
	},
	"memory is text of any size": {
		accepted: []string{`resources: {requests: {memory: 1Gi}, limits: {memory: 1Gi}}`},
		refused:  `resources: {limits: {memory: 4294967296}}`,
		path:     "spec.resources.limits.memory",
		message:  "must be of type string",
	},
	"dpApp needs at least one ConfigMap of configuration": {
		accepted: []string{`domains: [{name: a}, {name: b, dpApp: {config: [c]}}]`},
		refused:  `domains: [{name: a, dpApp: {config: []}}]`,
		path:     "spec.domains[0].dpApp.config",
		message:  "should have at least 1 items",
	},
	"a domain must not be called by the name of a directory's parent": {
		refused: `domains: [{name: ..}]`,
		path:    "spec.domains[0].name",
		message: "name must not be '.' or '..'",
	},
	"a group-defined user needs a group": {
		refused: `users: [{name: a, passwordSecret: s, accessLevel: group-defined}]`,
		path:    "spec.users[0].group",
		message: "group is required when accessLevel is group-defined",
	},
	"persistent storage needs a size": {
		refused: `storage: [{type: persistent, path: /a}]`,
		path:    "spec.storage[0].size",
		message: "size is required when type is persistent",
	},
	"the label that selects the pods is the operator's": {
		refused: `labels: {datapower.ibm.com/service: mine}`,
		path:    "spec.labels",
		message: "labels must not set datapower.ibm.com/service",
	},
}

// TestRulesOfOlderVersions shows that what was not refused in an older version, when it was current, still is not,
// and that rules which guard the operator hold in every version.
func TestRulesOfOlderVersions(t *testing.T) {
	services := loadServices(t)
	cpu := map[string]string{"v1beta1": "8", "v1beta2": `"500m"`}
	for _, version := range []string{"v1beta1", "v1beta2"} {
		for name, test := range olderRules {
			t.Run(version+": "+name, func(t *testing.T) { requireRule(t, services, version, test) })
		}
		t.Run(version+": a CPU request of its kind is accepted", func(t *testing.T) {
			_, errs := services.Create(t, service(t, version, "resources: {requests: {cpu: "+cpu[version]+"}}"))
			assert.Empty(t, errs)
		})
	}
	t.Run("v1beta1: a CPU request is at least 4 cores", func(t *testing.T) {
		_, errs := services.Create(t, service(t, "v1beta1", "resources: {requests: {cpu: 3}}"))
		requireRefused(t, errs, "spec.resources.requests.cpu", "should be greater than or equal to 4")
	})
}

// longestName is the longest name of a service.
var longestName = strings.Repeat("a", 52)

// nameRules are names and why they are refused; an empty message means they are not.
var nameRules = map[string]struct {
	name    string
	message string
}{
	"52 characters fit":                       {name: longestName},
	"53 characters do not":                    {name: longestName + "a", message: "metadata.name must have at most 52 characters"},
	"a dash and digits are fine":              {name: "gw-2-x"},
	"a name with a dot cannot name a Service": {name: "gw.example", message: "metadata.name must start with a letter"},
	"a name cannot start with a digit":        {name: "1gw", message: "metadata.name must start with a letter"},
}

func TestRulesOfTheName(t *testing.T) {
	services := loadServices(t)
	for name, test := range nameRules {
		t.Run(name, func(t *testing.T) {
			for _, version := range []string{"v1beta1", "v1beta2", "v1beta3"} {
				obj := service(t, version, "{}")
				obj.SetName(test.name)
				_, errs := services.Create(t, obj)
				if test.message == "" {
					assert.Empty(t, errs)
					continue
				}
				requireRefused(t, errs, "metadata", test.message)
			}
		})
	}
	t.Run("an object that exists with a long name can still be changed and lose its finalizer", func(t *testing.T) {
		was := service(t, "v1beta3", "{}")
		was.SetName(longestName + "aaa")
		was.SetFinalizers([]string{"helm.sdk.operatorframework.io/uninstall-release"})
		obj := was.DeepCopy()
		obj.SetFinalizers(nil)
		errs := services.Update(t, was, obj)
		require.Empty(t, errs)
	})
}
