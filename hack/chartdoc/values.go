// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// Faults of a values.yaml.
var (
	// errUndocumented: a key has neither a comment that begins with "# --" nor children that do.
	errUndocumented = errors.New(`has no comment that begins with "# --"`)
	// errNoMapping: the file is not a YAML mapping.
	errNoMapping = errors.New("is no YAML mapping")
)

// entry is one documented key of values.yaml.
type entry struct {
	// path from the root, for example ["networkPolicy", "mode"].
	path []string
	// section is the heading of the README under which the key stands.
	section string
	// kind is the type as the reader knows it: string, int, bool, list, object, or several with "|".
	kind string
	// value is the default.
	value *yaml.Node
	// description is the comment, one line, Markdown.
	description string
}

// name is the path in dotted form.
func (e entry) name() string { return strings.Join(e.path, ".") }

// defaultText is the default as compact JSON, "" when there is none.
func (e entry) defaultText() (string, error) {
	var value any
	if err := e.value.Decode(&value); err != nil {
		return "", fmt.Errorf("%s: %w", e.name(), err)
	}
	if value == nil {
		return "", nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", e.name(), err)
	}
	return string(text), nil
}

var (
	sectionLine = regexp.MustCompile(`^# @section -- (.+)$`)
	kindHint    = regexp.MustCompile(`^\(([a-z|]+)\) `)
)

// parser walks a values.yaml. Comments are read from the text, because the YAML library attaches those that a blank
// line follows to the key before them.
type parser struct {
	lines   []string
	entries []entry
}

// parseValues lists the documented keys of a values.yaml in their order. A key with a comment that begins with "# --" is
// an entry, whatever is below it; every other key must be a mapping whose keys are entries.
func parseValues(text []byte) ([]entry, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, errNoMapping
	}
	p := &parser{lines: strings.Split(string(text), "\n")}
	if err := p.walk(nil, document.Content[0]); err != nil {
		return nil, err
	}
	return p.entries, nil
}

func (p *parser) walk(path []string, mapping *yaml.Node) error {
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		here := append(append([]string{}, path...), key.Value)
		comment := p.comment(key.Line)
		if comment == "" {
			if value.Kind != yaml.MappingNode || len(value.Content) == 0 {
				return fmt.Errorf("line %d: %s %w", key.Line, strings.Join(here, "."), errUndocumented)
			}
			if err := p.walk(here, value); err != nil {
				return err
			}
			continue
		}
		kind := kindOf(value)
		if hint := kindHint.FindStringSubmatch(comment); hint != nil {
			kind, comment = hint[1], comment[len(hint[0]):]
		}
		p.entries = append(p.entries, entry{
			path: here, section: p.section(key.Line), kind: kind, value: value, description: comment,
		})
	}
	return nil
}

// comment is the "# --" comment right above a line (counted from 1), joined to one line, "" when there is none.
func (p *parser) comment(line int) string {
	var words []string
	for i := line - 2; i >= 0; i-- {
		text, isComment := strings.CutPrefix(strings.TrimSpace(p.lines[i]), "#")
		if !isComment {
			return ""
		}
		text = strings.TrimSpace(text)
		if first, found := strings.CutPrefix(text, "-- "); found {
			return strings.Join(append([]string{first}, words...), " ")
		}
		words = append([]string{text}, words...)
	}
	return ""
}

// section is the last section heading above a line (counted from 1).
func (p *parser) section(line int) string {
	for i := line - 2; i >= 0; i-- {
		if match := sectionLine.FindStringSubmatch(p.lines[i]); match != nil {
			return match[1]
		}
	}
	return "Values"
}

// kindOf is the type of a default.
func kindOf(value *yaml.Node) string {
	switch value.Kind {
	case yaml.SequenceNode:
		return "list"
	case yaml.MappingNode:
		return "object"
	}
	switch value.Tag {
	case "!!int":
		return "int"
	case "!!bool":
		return "bool"
	}
	return "string"
}
