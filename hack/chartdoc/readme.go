// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"fmt"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"
)

//go:embed *.tmpl
var templates embed.FS

// longestDefault is the length in bytes from which on a default is not shown, because it would break the table.
const longestDefault = 120

// section is a heading of the README with its keys.
type section struct {
	Title string
	Rows  []row
}

// row is a line of a table in the README.
type row struct {
	Key, Kind, Default, Description string
}

// renderReadme is the README of a chart: a template with the metadata of Chart.yaml and a table per section.
func renderReadme(name string, chart []byte, entries []entry) ([]byte, error) {
	var metadata map[string]any
	if err := yaml.Unmarshal(chart, &metadata); err != nil {
		return nil, fmt.Errorf("while reading Chart.yaml: %w", err)
	}
	sections, err := sectionsOf(entries)
	if err != nil {
		return nil, err
	}
	parsed, err := template.New(name).Option("missingkey=error").ParseFS(templates, name)
	if err != nil {
		return nil, fmt.Errorf("while parsing the template: %w", err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, map[string]any{"Chart": metadata, "Sections": sections}); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// sectionsOf groups entries by section, both in the order of values.yaml.
func sectionsOf(entries []entry) ([]section, error) {
	var sections []section
	for _, e := range entries {
		value, err := e.defaultText()
		if err != nil {
			return nil, err
		}
		if len(sections) == 0 || sections[len(sections)-1].Title != e.section {
			sections = append(sections, section{Title: e.section})
		}
		last := &sections[len(sections)-1]
		last.Rows = append(last.Rows, row{
			Key: e.name(), Kind: strings.ReplaceAll(e.kind, "|", " or "), Default: cell(value), Description: escape(e.description),
		})
	}
	return sections, nil
}

// cell is a default in a table: code, empty for none, a hint for a long one.
func cell(value string) string {
	switch {
	case value == "":
		return ""
	case len(value) > longestDefault:
		return "see values.yaml"
	}
	return "`" + escape(value) + "`"
}

// escape keeps a text inside its cell.
func escape(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
