// Package chart loads a Helm chart once and hands out private copies of it.
//
// Helm edits a *chart.Chart in place while it renders (dependency conditions remove
// subcharts), so a chart shared by several reconciles breaks the second one. A Source keeps
// the files as they were read and parses them anew for each caller.
package chart

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// Source is a chart as it was on disk when the program started. It is immutable and safe for
// concurrent use.
type Source struct {
	files  []*loader.BufferedFile
	name   string
	digest string
	values map[string]any
}

// Load reads the chart in the directory or archive at path.
func Load(path string) (*Source, error) {
	c, err := loader.Load(path)
	if err != nil {
		return nil, fmt.Errorf("load chart %s: %w", path, err)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("load chart %s: %w", path, err)
	}
	files := make([]*loader.BufferedFile, 0, len(c.Raw))
	for _, f := range c.Raw {
		files = append(files, &loader.BufferedFile{Name: f.Name, Data: f.Data})
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
	return &Source{files: files, name: c.Name(), digest: digest(files), values: c.Values}, nil
}

// Name is the chart's name as its Chart.yaml gives it.
func (s *Source) Name() string { return s.name }

// Digest identifies the chart's content: hexadecimal SHA-256 over names and data of all files.
func (s *Source) Digest() string { return s.digest }

// Values are the chart's defaults. They are shared and must not be changed.
func (s *Source) Values() map[string]any { return s.values }

// Copy parses the chart anew; the caller may change the result.
func (s *Source) Copy() (*chart.Chart, error) {
	c, err := loader.LoadFiles(s.files)
	if err != nil {
		return nil, fmt.Errorf("parse chart %s: %w", s.name, err)
	}
	return c, nil
}

func digest(files []*loader.BufferedFile) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d:%s%d:", len(f.Name), f.Name, len(f.Data))
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}
