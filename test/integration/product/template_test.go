package product_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// helmProgram is built by `make test` beside the operator's programs.
func (s *scene) helm(stdin string, args ...string) string {
	s.Helper()
	out, err := s.command(filepath.Join(s.bin, "helm"), stdin, append(args, "--namespace="+s.namespace)...)
	require.NoError(s, err, "helm %s\n%s", strings.Join(args, " "), out)
	return out
}

func TestHelmTemplatePrintsWhatTheOperatorApplies(t *testing.T) {
	s := newScene(t, "template")
	s.must("apply", "-k", filepath.Join(repository, "config", "samples"))
	for _, name := range []string{"gateway", "orders", "editor", "elastic"} {
		s.ready(name)
		values := s.helm("", "get", "values", name, "--output=yaml")
		printed := s.helm(values, "template", name, filepath.Join(repository, "helm-charts", "datapowerservice"), "--values=-")
		applied := s.helm("", "get", "manifest", name)
		assert.Equal(t, strings.TrimSpace(applied), strings.TrimSpace(printed), name)
		for _, doc := range strings.Split(printed, "\n---\n") {
			s.liveHas(doc)
		}
	}
}

// liveHas checks that every field of a rendered object is in the live one. Quantities and
// defaults that the API server writes in another form are compared by a dry run of the same apply.
func (s *scene) liveHas(doc string) {
	s.Helper()
	var object map[string]any
	require.NoError(s, yaml.Unmarshal([]byte(doc), &object))
	if object["kind"] == nil {
		return
	}
	out, err := s.kubectl(doc, "--namespace="+s.namespace, "diff", "--server-side", "--force-conflicts", "-f", "-")
	// The only difference is kubectl's becoming a manager of the fields, which diff does not show.
	assert.NoError(s, err, out)
	assert.Empty(s, out)
}

func TestEditedChartValuesChangeWhatNewServicesGet(t *testing.T) {
	if shared == nil {
		t.Skipf("needs the operator's programs: set %s (make test does)", binVariable)
	}
	folder := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(folder, "helm-charts"), os.DirFS(filepath.Join(repository, "helm-charts"))))
	file := filepath.Join(folder, "helm-charts", "datapowerservice", "values.yaml")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(data), "memory: 8Gi")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(data), "memory: 8Gi", "memory: 12Gi")), 0o600))
	watches, err := os.ReadFile(filepath.Join(repository, "watches.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "watches.yaml"), watches, 0o600))

	w, err := newWorld(shared.bin, filepath.Join(folder, "watches.yaml"))
	require.NoError(t, err)
	t.Cleanup(w.stop)
	s := w.scene(t, "edited-values")
	s.apply(minimal("gw"))
	s.ready("gw")
	assert.Equal(t, "12Gi", s.field("statefulset/gw", ".spec.template.spec.containers[0].resources.limits.memory"))
	assert.Empty(t, s.field("dp/gw", ".spec.resources"), "the resource says nothing of it")
}
