// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

//go:embed head.md
var head []byte

//go:embed tail.md
var tail []byte

// errUnexplained is returned for a label that nothing says the values of.
var errUnexplained = errors.New("add it to hack/metricsdoc/labels.go")

// document is docs/metrics.md.
func document(groups []group) ([]byte, error) {
	var out bytes.Buffer
	out.Write(head)
	for _, g := range groups {
		fmt.Fprintf(&out, "\n## %s\n\nTold by: %s.\n\n| metric | type | labels | what it tells |\n|---|---|---|---|\n", g.title, g.tellers)
		for _, m := range g.metrics {
			labels, err := explain(m)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", m.name, m.kind, labels, cell(m.help+bounds(m.buckets)))
		}
	}
	out.WriteByte('\n')
	out.Write(tail)
	return out.Bytes(), nil
}

// explain lists the labels of a metric with their values.
func explain(m metric) (string, error) {
	var parts []string
	for _, label := range m.labels {
		values, ok := labelsOf[m.name+" "+label]
		if !ok {
			values, ok = labelsOf[label]
		}
		if !ok {
			return "", fmt.Errorf("nothing tells the values of label %s of %s: %w", label, m.name, errUnexplained)
		}
		parts = append(parts, fmt.Sprintf("`%s`: %s", label, values))
	}
	if parts == nil {
		return "–", nil
	}
	return cell(strings.Join(parts, "<br>")), nil
}

func bounds(buckets []float64) string {
	if len(buckets) == 0 {
		return ""
	}
	text := func(f float64) string { return strconv.FormatFloat(f, 'g', 4, 64) }
	return fmt.Sprintf(" %d buckets from %s to %s s.", len(buckets), text(buckets[0]), text(buckets[len(buckets)-1]))
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
