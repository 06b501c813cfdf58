package render_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/datapower-operator/datapower-operator/helm-operator/render"
)

// notes have everything that templates could take for their own.
const notes = `Call {{ .Values.who }}: use {{ "{{ .Values.a }}" }}, {{ "{{- x -}}" }} and }} as they are.`

func withNotes() *chart.Chart {
	c := inMemory(map[string]string{"a.yaml": "kind: A\nn: {{ .Values.n }}\n", "b.yaml": "kind: B\n", "NOTES.txt": notes})
	c.Values = map[string]any{"n": "default", "who": "us"}
	return c
}

func TestHelmMakesOfWhatWasRenderedTheSameRelease(t *testing.T) {
	values := map[string]any{"n": "7"}
	want, err := helm(t, withNotes(), copyOf(values), false)
	require.NoError(t, err)
	rendered, err := render.Render(request(withNotes(), copyOf(values)))
	require.NoError(t, err)

	again, err := helm(t, rendered.Rendered(withNotes()), copyOf(values), false)
	require.NoError(t, err)
	got, err := rendered.Run(nil)
	require.NoError(t, err)
	assert.Equal(t, want.Manifest, got.String())
	assert.Equal(t, want.Info.Notes, again.Info.Notes)
	assert.Equal(t, `Call us: use {{ .Values.a }}, {{- x -}} and }} as they are.`, again.Info.Notes)
	assert.Equal(t, want.Config, again.Config)
	assert.Equal(t, want.Chart.Metadata, again.Chart.Metadata)
	assert.Equal(t, want.Chart.Values, again.Chart.Values)
	assert.Empty(t, again.Hooks)
}

func TestNotesOfSubchartsAreNotTheReleases(t *testing.T) {
	c := withNotes()
	c.Templates = c.Templates[:0]
	sub := inMemory(map[string]string{"NOTES.txt": "of the subchart"})
	sub.Metadata.Name = "sub"
	c.AddDependency(sub)
	got, err := render.Render(request(c, nil))
	require.NoError(t, err)
	assert.Empty(t, got.Notes)
	assert.Empty(t, got.Rendered(c).Templates)
}

func TestAFasterValidationChangesNothing(t *testing.T) {
	schema := `{"properties": {"n": {"type": "string"}}}`
	for name, test := range map[string]struct {
		values  map[string]any
		valid   bool
		refused bool
	}{
		"accepted":                          {values: map[string]any{"n": "1"}, valid: true},
		"refused":                           {values: map[string]any{"n": 1}, refused: true},
		"accepted though it could not tell": {values: map[string]any{"n": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := withNotes()
			c.Schema = []byte(schema)
			slow, slowErr := render.Render(request(c, copyOf(test.values)))
			req := request(c, copyOf(test.values))
			var merged chartutil.Values
			req.Valid = func(v chartutil.Values) bool { merged = v; return test.valid }
			fast, fastErr := render.Render(req)
			assert.Equal(t, slowErr, fastErr)
			assert.Equal(t, slow, fast)
			assert.Equal(t, test.refused, fastErr != nil)
			assert.Equal(t, "us", merged["who"], "defaults count, too")
		})
	}
}
