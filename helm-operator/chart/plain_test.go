package chart_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
)

// written is a chart of the given files.
func written(t *testing.T, files map[string]string) *chart.Source {
	t.Helper()
	dir := t.TempDir()
	all := map[string]string{"Chart.yaml": "apiVersion: v2\nname: demo\nversion: 1.0.0\n"}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return load(t, dir)
}

func TestAChartIsPlainWhenItLooksAtNothingThatHelmKnowsBetter(t *testing.T) {
	for text, want := range map[string]bool{
		`a: {{ .Values.a }}`:                            true,
		`a: {{ .Release.Name }}-{{ .Release.Service }}`: true,
		`a: {{ $.Release.Namespace | quote }}`:          true,
		`a: {{ .Release.Revision }}`:                    false,
		`a: {{ if .Release.IsUpgrade }}b{{ end }}`:      false,
		`a: {{ .Release.IsInstall }}`:                   false,
		`a: {{ toYaml .Release }}`:                      false,
		`a: {{ index . "Release" "Revision" }}`:         false,
		`a: {{ .Release.Names }}`:                       false,
		`a: {{ lookup "v1" "Secret" "a" "b" }}`:         false,
		`a: {{ tpl .Values.a . }}`:                      false,
		`a: {{ getHostByName "b" }}`:                    false,
	} {
		assert.Equal(t, want, written(t, map[string]string{"templates/a.yaml": text}).Plain(), text)
	}
	assert.True(t, written(t, map[string]string{"templates/_a.tpl": "", "README.md": "the Release is looked up with tpl"}).Plain())
	assert.False(t, written(t, map[string]string{"crds/a.yaml": "kind: CustomResourceDefinition"}).Plain())
	assert.False(t, load(t, parent).Plain(), "it has a subchart")
}

func TestTheOperatorsChartIsPlain(t *testing.T) {
	assert.True(t, load(t, "../../helm-charts/datapowerservice").Plain())
}

func TestValuesMeetTheSchemaOrHelmIsAsked(t *testing.T) {
	schema := `{"type": "object", "properties": {"port": {"type": "integer", "maximum": 9}}}`
	s := written(t, map[string]string{"values.schema.json": schema})
	assert.True(t, s.Valid(chartutil.Values{"port": 9}))
	assert.True(t, s.Valid(chartutil.Values{"port": float64(9)}))
	assert.False(t, s.Valid(chartutil.Values{"port": 10}))
	assert.False(t, s.Valid(chartutil.Values{"port": "9"}))
	assert.True(t, written(t, nil).Valid(chartutil.Values{"port": "9"}), "there is no schema")
	elsewhere := `{"properties": {"port": {"$ref": "https://schemas.example.test/port.json"}}}`
	assert.False(t, written(t, map[string]string{"values.schema.json": elsewhere}).Valid(chartutil.Values{"port": 1}))
	assert.False(t, load(t, parent).Valid(nil), "subcharts have schemas of their own")
}
