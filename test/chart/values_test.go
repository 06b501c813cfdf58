// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func TestTheChartPassesHelmsStrictLint(t *testing.T) {
	// Helm logs each refusal of a template, which lint passes over: values.yaml alone accepts no licence.
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	version := &chartutil.KubeVersion{Version: "v1.36.3", Major: "1", Minor: "36"}
	for name, vals := range map[string]map[string]any{"values.yaml alone": {}, "a service": values(t, minimal)} {
		t.Run(name, func(t *testing.T) {
			result := lint.AllWithKubeVersion(chartFolder, vals, releaseNamespace, version)
			for _, message := range result.Messages {
				assert.Less(t, message.Severity, support.WarningSev, message.Error())
			}
			assert.LessOrEqual(t, result.HighestSeverity, support.InfoSev)
		})
	}
}

// usedValue finds references to values in a template. Parentheses that guard against absent parents are removed first.
var usedValue = regexp.MustCompile(`\.Values((?:\.[A-Za-z][A-Za-z0-9]*)+)`)

// usedValues are the paths of values that the templates use.
func usedValues(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(chartFolder, "templates", "*"))
	require.NoError(t, err)
	used := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		plain := strings.NewReplacer("(", "", ")", "").Replace(string(text))
		for _, match := range usedValue.FindAllStringSubmatch(plain, -1) {
			used[strings.TrimPrefix(match[1], ".")] = true
		}
	}
	return sorted(used)
}

func sorted(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for entry := range set {
		list = append(list, entry)
	}
	sort.Strings(list)
	return list
}

func TestEveryValueOfTheTemplatesIsInValuesOrTheSpec(t *testing.T) {
	chartValues := loadChart(t).Values
	spec := specSchema(t)
	used := usedValues(t)
	require.NotEmpty(t, used)
	for _, path := range used {
		keys := strings.Split(path, ".")
		assert.True(t, inValues(chartValues, keys) || inSchema(spec, keys), "the templates use .Values.%s, which nothing declares", path)
	}
}

// inValues tells whether a path exists in values, or leads into an empty map, which stands for free-form data.
func inValues(vals any, keys []string) bool {
	fields, isMap := vals.(map[string]any)
	if len(keys) == 0 || isMap && len(fields) == 0 {
		return true
	}
	next, found := fields[keys[0]]
	return found && inValues(next, keys[1:])
}

// inSchema tells whether a path exists in a schema.
func inSchema(schema apiextensionsv1.JSONSchemaProps, keys []string) bool {
	if len(keys) == 0 {
		return true
	}
	next, found := schema.Properties[keys[0]]
	return found && inSchema(next, keys[1:])
}

func TestEveryValueIsUsedByATemplate(t *testing.T) {
	// Used by other programs: the catalogue's licences by the status, a version's licences too.
	elsewhere := []string{"catalogue.licenses"}
	used := usedValues(t)
	for _, path := range documentedValues(t) {
		isUsed := slices.ContainsFunc(used, func(u string) bool {
			return u == path || strings.HasPrefix(u, path+".") || strings.HasPrefix(path, u+".")
		})
		assert.True(t, isUsed || slices.Contains(elsewhere, path), "no template uses %s", path)
	}
}

// documentedValues are the keys of values.yaml that have a description of their own in the schema.
func documentedValues(t *testing.T) []string {
	t.Helper()
	var schema map[string]any
	require.NoError(t, yaml.Unmarshal(loadChart(t).Schema, &schema))
	var paths []string
	var walk func(path string, schema map[string]any)
	walk = func(path string, schema map[string]any) {
		if _, described := schema["description"]; described {
			paths = append(paths, path)
			return
		}
		for name, field := range schema["properties"].(map[string]any) {
			walk(strings.TrimPrefix(path+"."+name, "."), field.(map[string]any))
		}
	}
	walk("", schema)
	require.NotEmpty(t, paths)
	return paths
}

func TestRenderingIsAFunctionOfTheValuesAlone(t *testing.T) {
	impure := regexp.MustCompile(`(?:\{\{-?|[(|=]) *(?:lookup|now|date|ago|rand\w*|shuffle|uuidv4|gen[A-Z]\w*|env|expandenv|` +
		`getHostByName|htpasswd|bcrypt|encryptAES)\b`)
	for _, template := range loadChart(t).Templates {
		assert.NotRegexp(t, impure, string(template.Data), template.Name)
	}
	assert.Regexp(t, impure, `{{ lookup "v1" "Secret" }}`, "or this test could not fail")
}

func TestEverySpecFieldIsAKeyOfValues(t *testing.T) {
	chartValues := loadChart(t).Values
	for name := range specSchema(t).Properties {
		assert.Contains(t, chartValues, name)
	}
}

func TestTheNewestCatalogueVersionIsTheChartsAppVersion(t *testing.T) {
	loaded := loadChart(t)
	channels := loaded.Values["catalogue"].(map[string]any)["channels"].(map[string]any)
	assert.Equal(t, loaded.Metadata.AppVersion, channels["11.0-sc2"].(map[string]any)["version"])
}

func TestTheCatalogueAgreesWithItself(t *testing.T) {
	catalogue := loadChart(t).Values["catalogue"].(map[string]any)
	channels, versions := catalogue["channels"].(map[string]any), catalogue["versions"].(map[string]any)
	for name, channel := range channels {
		assert.Contains(t, versions, channel.(map[string]any)["version"], "channel %s", name)
	}
	for alias, channel := range catalogue["aliases"].(map[string]any) {
		assert.Contains(t, channels, channel, "alias %s", alias)
	}
	for id := range catalogue["licenses"].(map[string]any) {
		assert.Regexp(t, `^L-[A-Z0-9]{4}-[A-Z0-9]{6}$`, id)
	}
}
