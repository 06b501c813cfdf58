package render_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/helm-operator/render"
)

// Helm's engine removes "error calling fail: " itself and reports "execution error at (<chart>/templates/<file>:<line>):
// <message>".
func TestRefusalsAreReportedInTheAuthorsWordsOnly(t *testing.T) {
	for name, template := range refusals {
		t.Run(name, func(t *testing.T) {
			_, err := render.Render(request(inMemory(template), nil))
			require.ErrorIs(t, err, render.ErrRefused)
			assert.EqualError(t, err, "chart refuses the values: spec.version: unknown channel; known are 10.5 and 10.6")
		})
	}
}

// Helm drops every template whose name ends in NOTES.txt, not only those named so.
func TestEveryNotesFileIsLeftOutAsHelmDoes(t *testing.T) {
	templates := map[string]string{"a.yaml": "kind: A", "UPGRADE-NOTES.txt": "read: me"}
	want, err := helm(t, inMemory(templates), map[string]any{}, false)
	require.NoError(t, err)
	got, err := render.Render(request(inMemory(templates), nil))
	require.NoError(t, err)
	assert.Equal(t, want.Manifest, got.Manifest)
}
