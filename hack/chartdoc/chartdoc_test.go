// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const repository = "../.."

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	require.NoError(t, run(repository, true))
}

func TestGeneratingTwiceGivesTheSameBytes(t *testing.T) {
	first, err := generate(repository)
	require.NoError(t, err)
	for range 3 {
		again, err := generate(repository)
		require.NoError(t, err)
		assert.Equal(t, first, again)
	}
}

func TestCheckFindsAnOutdatedFileAndWritingMendsIt(t *testing.T) {
	root := t.TempDir()
	var inputs []string
	for _, src := range sources {
		inputs = append(inputs, src.crd, src.folder+"/values.yaml", src.folder+"/Chart.yaml")
	}
	for _, path := range inputs {
		text, err := os.ReadFile(filepath.Join(repository, path))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, path), text, 0o644))
	}
	require.ErrorIs(t, run(root, true), os.ErrNotExist)
	require.NoError(t, run(root, false))
	require.NoError(t, run(root, true))
	require.NoError(t, os.WriteFile(filepath.Join(root, sources[1].folder, "README.md"), []byte("mine"), 0o644))
	require.ErrorIs(t, run(root, true), errOutdated)
	require.NoError(t, run(root, false))
	require.NoError(t, run(root, true))
}

func TestValuesAreReadWithTheirComments(t *testing.T) {
	entries, err := parseValues([]byte(strings.TrimPrefix(`
# @section -- First

# -- One line.
a: 1
# Not for the reader.
group:
  # -- (int|string) Two
  # lines.
  b: null

  # -- A list.
  c: []
# @section -- Second

# -- (object) Data, whose keys
# are not documented.
d:
  e: 1
# -- Truth.
f: true
`, "\n")))
	require.NoError(t, err)
	type line struct{ name, section, kind, value, description string }
	var got []line
	for _, e := range entries {
		value, err := e.defaultText()
		require.NoError(t, err)
		got = append(got, line{e.name(), e.section, e.kind, value, e.description})
	}
	assert.Equal(t, []line{
		{"a", "First", "int", "1", "One line."},
		{"group.b", "First", "int|string", "", "Two lines."},
		{"group.c", "First", "list", "[]", "A list."},
		{"d", "Second", "object", `{"e":1}`, "Data, whose keys are not documented."},
		{"f", "Second", "bool", "true", "Truth."},
	}, got)
}

func TestAnUndocumentedValueIsAnError(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no comment":                   {"a: 1", "line 1: a has no comment"},
		"a comment of another kind":    {"# about a\na: 1", "line 2: a has no comment"},
		"a blank line between":         {"# -- about a\n\na: 1", "line 3: a has no comment"},
		"a child without one":          {"a:\n  # -- about b\n  b: 1\n  c: 2", "line 4: a.c has no comment"},
		"an empty group":               {"a: {}", "line 1: a has no comment"},
		"the comment of the key above": {"# -- about a\na: 1\nb: 2", "line 3: b has no comment"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseValues([]byte(c.text))
			require.ErrorIs(t, err, errUndocumented)
			assert.Contains(t, err.Error(), c.want)
		})
	}
	_, err := parseValues([]byte("- a"))
	require.ErrorIs(t, err, errNoMapping)
}

const crd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [size]
              properties:
                size: {type: integer, format: int32, minimum: 0, maximum: 9, default: 1}
                mode: {type: string, enum: [one, two], minLength: 3}
                amount: {anyOf: [{type: integer}, {type: string}], pattern: "^[0-9]+$", x-kubernetes-int-or-string: true}
                affinity: {type: object, properties: {deep: {type: string}}}
                list:
                  type: array
                  maxItems: 2
                  items: {type: object, required: [name], properties: {name: {type: string}, more: {type: boolean}}}
                map: {type: object, additionalProperties: {type: string}}
                free: {type: object, properties: {a: {type: string}}, x-kubernetes-preserve-unknown-fields: true}
`

func TestTheSchemaOfTheSpecBecomesTheSchemaOfTheValues(t *testing.T) {
	values := "# -- Text.\nsize: 1\n# -- Text.\nmode: one\n# -- Text.\namount: null\n# -- Text.\naffinity: null\n# -- Text.\nlist: []\n" +
		"# -- Text.\nmap: {}\n# -- Text.\nfree: null\ngroup:\n  # -- Text.\n  own: 1\n  # -- (int|string) Text.\n  two: 1\n"
	entries, err := parseValues([]byte(values))
	require.NoError(t, err)
	got, err := source{folder: "charts/thing", version: "v1"}.valuesSchema(entries, []byte(crd))
	require.NoError(t, err)
	assert.JSONEq(t, `{
	  "$schema": "http://json-schema.org/draft-07/schema#",
	  "title": "Values of the chart thing",
	  "type": "object",
	  "additionalProperties": false,
	  "properties": {
	    "size": {"description": "Text.", "type": ["integer", "null"], "minimum": 0, "maximum": 9},
	    "mode": {"description": "Text.", "type": ["string", "null"], "enum": ["one", "two", null], "minLength": 3},
	    "amount": {"description": "Text.", "type": ["integer", "string", "null"], "pattern": "^[0-9]+$"},
	    "affinity": {"description": "Text.", "type": ["object", "null"]},
	    "list": {"description": "Text.", "type": ["array", "null"], "maxItems": 2, "items": {
	      "type": ["object"], "required": ["name"], "additionalProperties": false,
	      "properties": {"name": {"type": ["string"]}, "more": {"type": ["boolean", "null"]}}}},
	    "map": {"description": "Text.", "type": ["object", "null"], "additionalProperties": {"type": ["string"]}},
	    "free": {"description": "Text.", "type": ["object", "null"], "properties": {"a": {"type": ["string", "null"]}}},
	    "group": {"type": "object", "additionalProperties": false, "properties": {
	      "own": {"description": "Text.", "type": ["integer", "null"]},
	      "two": {"description": "Text.", "type": ["integer", "string", "null"]}}}
	  }
	}`, string(got))
}

func TestAFieldThatValuesDoNotNameIsAnError(t *testing.T) {
	entries, err := parseValues([]byte("# -- Text.\nsize: 1\n"))
	require.NoError(t, err)
	_, err = source{folder: "charts/thing", version: "v1"}.valuesSchema(entries, []byte(crd))
	require.ErrorContains(t, err, "is not in values.yaml")
	_, err = source{folder: "charts/thing", version: "v2"}.valuesSchema(entries, []byte(crd))
	require.ErrorIs(t, err, errNoSpec)
}

func TestTheReadmeShowsEveryValueInItsSection(t *testing.T) {
	entries, err := parseValues([]byte("# @section -- First\n\n# -- This | that.\na: x|y\n\n# @section -- Second\n\n# -- (list) Long.\nb: [" +
		strings.Repeat("x, ", 80) + "x]\n"))
	require.NoError(t, err)
	got, err := renderReadme("README.md.tmpl", []byte("name: thing\ndescription: A thing.\n"), entries)
	require.NoError(t, err)
	text := string(got)
	assert.Contains(t, text, "# thing\n\nA thing.\n")
	assert.Contains(t, text, "### First\n\n| key | type | default | description |\n|---|---|---|---|\n"+
		"| `a` | string | `\"x\\|y\"` | This \\| that. |\n")
	assert.Contains(t, text, "### Second\n\n| key | type | default | description |\n|---|---|---|---|\n"+
		"| `b` | list | see values.yaml | Long. |\n")
}
