package chart_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/render"
)

const parent = "testdata/parent"

func load(t *testing.T, path string) *chart.Source {
	t.Helper()
	s, err := chart.Load(path)
	require.NoError(t, err)
	return s
}

// rendered is the manifest of a copy of the chart with the subchart on or off.
func rendered(t require.TestingT, s *chart.Source, subchart bool) string {
	out, err := render.Render(render.Request{
		Chart: s.Copy(), Values: chartutil.Values{"sub": map[string]any{"enabled": subchart}},
		Capabilities: chartutil.DefaultCapabilities,
	})
	require.NoError(t, err)
	return out.Manifest
}

// A chart that all reconciles share loses its subchart for ever once one resource turned it off.
func TestASubchartThatOneResourceTurnsOffIsThereForTheNext(t *testing.T) {
	s := load(t, parent)
	on := rendered(t, s, true)
	assert.Contains(t, on, "name: sub")
	assert.NotContains(t, rendered(t, s, false), "name: sub")
	assert.Equal(t, on, rendered(t, s, true))
}

func TestCopiesMayBeRenderedAtTheSameTime(t *testing.T) {
	s := load(t, parent)
	on, off := rendered(t, s, true), rendered(t, s, false)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			want := off
			if i%2 == 0 {
				want = on
			}
			assert.Equal(t, want, rendered(t, s, i%2 == 0))
		})
	}
	wg.Wait()
}

func TestACopyIsTheChartOnDisk(t *testing.T) {
	want, err := loader.Load(parent)
	require.NoError(t, err)
	got := load(t, parent).Copy()
	assert.Equal(t, want.Metadata, got.Metadata)
	assert.Equal(t, want.Values, got.Values)
	assert.Equal(t, names(want.Templates), names(got.Templates))
	assert.Equal(t, names(want.Files), names(got.Files))
	require.Len(t, got.Dependencies(), 1)
	assert.Equal(t, "sub", got.Dependencies()[0].Name())
}

func names(files []*helmchart.File) map[string]string {
	out := map[string]string{}
	for _, f := range files {
		out[f.Name] = string(f.Data)
	}
	return out
}

func TestChangesOfACopyStayInIt(t *testing.T) {
	s := load(t, parent)
	first := s.Copy()
	first.Metadata.Name = "changed"
	first.Values["sub"] = "changed"
	first.Templates = nil
	first.SetDependencies()
	second := s.Copy()
	assert.Equal(t, "parent", second.Name())
	assert.Equal(t, map[string]any{"sub": map[string]any{"enabled": true}}, second.Values)
	assert.Len(t, second.Templates, 1)
	assert.Len(t, second.Dependencies(), 1)
	assert.Equal(t, "parent", s.Name())
}

func TestAnArchiveIsAChartToo(t *testing.T) {
	c, err := loader.Load(parent)
	require.NoError(t, err)
	archive, err := chartutil.Save(c, t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, rendered(t, load(t, parent), true), rendered(t, load(t, archive), true))
}

func TestTheDigestIsOfTheContentAndNotOfThePlace(t *testing.T) {
	a, b := clone(t), clone(t)
	assert.Equal(t, load(t, a).Digest(), load(t, b).Digest())
	assert.Regexp(t, "^[0-9a-f]{64}$", load(t, a).Digest())
}

func TestTheDigestChangesWithEveryFile(t *testing.T) {
	before := load(t, parent).Digest()
	for _, file := range files(t, parent) {
		t.Run("one byte more in "+file, func(t *testing.T) {
			dir := clone(t)
			f, err := os.OpenFile(filepath.Join(dir, file), os.O_APPEND|os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteString("\n")
			require.NoError(t, err)
			require.NoError(t, f.Close())
			assert.NotEqual(t, before, load(t, dir).Digest())
		})
	}
	t.Run("another name of a file", func(t *testing.T) {
		dir := clone(t)
		require.NoError(t, os.Rename(filepath.Join(dir, "docs/notes.md"), filepath.Join(dir, "docs/note.md")))
		assert.NotEqual(t, before, load(t, dir).Digest())
	})
	t.Run("a file more", func(t *testing.T) {
		dir := clone(t)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "templates/empty.yaml"), nil, 0o600))
		assert.NotEqual(t, before, load(t, dir).Digest())
	})
	t.Run("a file that moved into the subchart", func(t *testing.T) {
		dir := clone(t)
		require.NoError(t, os.Rename(filepath.Join(dir, "docs/notes.md"), filepath.Join(dir, "charts/sub/notes.md")))
		assert.NotEqual(t, before, load(t, dir).Digest())
	})
}

func TestAnEditAfterLoadingHasNoEffect(t *testing.T) {
	dir := clone(t)
	s := load(t, dir)
	before := rendered(t, s, true)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "templates")))
	assert.Equal(t, before, rendered(t, s, true))
}

func TestChartsThatCannotBeLoadedAreNamed(t *testing.T) {
	write := func(chartYAML string) string {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte(chartYAML), 0o600))
		return dir
	}
	for name, path := range map[string]string{
		"a folder that is not there":  filepath.Join(t.TempDir(), "nothing"),
		"a folder without Chart.yaml": t.TempDir(),
		"a chart without a name":      write("apiVersion: v2\nversion: 1.0.0\n"),
		"a chart without a version":   write("apiVersion: v2\nname: x\n"),
		"a chart of an unknown form":  write("apiVersion: v9\nname: x\nversion: 1.0.0\ntype: nonsense\n"),
		"a Chart.yaml that is broken": write("{"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := chart.Load(path)
			assert.ErrorContains(t, err, "load chart "+path)
		})
	}
}

// clone copies the chart of this test to a folder that may be changed.
func clone(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "parent")
	require.NoError(t, os.CopyFS(dir, os.DirFS(parent)))
	return dir
}

func files(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	}))
	require.NotEmpty(t, out)
	return out
}

func TestNestedValuesOfACopyAreItsOwn(t *testing.T) {
	s := load(t, parent)
	sub, ok := s.Copy().Values["sub"].(map[string]any)
	require.True(t, ok)
	sub["enabled"] = "changed"
	s.Copy().Dependencies()[0].Metadata.Name = "changed"
	second := s.Copy()
	assert.Equal(t, map[string]any{"sub": map[string]any{"enabled": true}}, second.Values)
	assert.Equal(t, "sub", second.Dependencies()[0].Name())
}
