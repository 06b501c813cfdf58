package chart

import (
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"pgregory.net/rapid"
)

func TestOnlyEqualFilesHaveEqualDigests(t *testing.T) {
	// Few short names and contents, so that concatenations of different files often look alike.
	text := rapid.StringMatching(`[1:ab]{0,3}`)
	list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) chart.File {
		return chart.File{Name: text.Draw(t, "name"), Data: []byte(text.Draw(t, "data"))}
	}), 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		a, b := list.Draw(t, "a"), list.Draw(t, "b")
		require.Equal(t, same(a, b), digest(pointers(a)) == digest(pointers(b)))
	})
}

func same(a, b []chart.File) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || string(a[i].Data) != string(b[i].Data) {
			return false
		}
	}
	return true
}

func pointers(files []chart.File) []*chart.File {
	out := make([]*chart.File, len(files))
	for i := range files {
		out[i] = &files[i]
	}
	return out
}
