// SPDX-License-Identifier: Apache-2.0

package datapower_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// node is a field of a schema as far as it is compared: what a value must be, and which fields or items it has.
type node struct {
	attributes map[string]string
	children   map[string]*node
}

// TestSchemasDifferFromIBMsOnlyOnPurpose compares our schemas with the field trees of IBM's definitions: names, types,
// required fields, enumerations, bounds and defaults. Every difference must be listed with its reason, and every listed
// one must exist.
func TestSchemasDifferFromIBMsOnlyOnPurpose(t *testing.T) {
	crd := loadServices(t).CRD
	for _, v := range crd.Spec.Versions {
		t.Run(v.Name, func(t *testing.T) {
			theirs := parseTree(t, shared(t, "reference/schema/datapowerservice-"+v.Name+".txt"))
			ours := fromSchema(v.Schema.OpenAPIV3Schema, false)
			want := []string{}
			for _, d := range intendedDifferences {
				assert.NotEmpty(t, d.reason)
				if slices.Contains(d.versions, v.Name) {
					want = append(want, d.fields...)
				}
			}
			sort.Strings(want)
			got := compare(theirs, ours, "")
			sort.Strings(got)
			assert.Equal(t, want, got)
		})
	}
}

// compare lists the differences below a path. A branch that exists on one side only is one difference. Where their tree
// shows an object or array without saying what is in it, nothing is compared.
func compare(theirs, ours *node, path string) []string {
	var differences []string
	for _, name := range unionOfKeys(theirs.attributes, ours.attributes) {
		if was, is := theirs.attributes[name], ours.attributes[name]; was != is {
			differences = append(differences, fmt.Sprintf("%s: %s %s, was %s", path, name, orNone(is), orNone(was)))
		}
	}
	if len(theirs.children) == 0 {
		return differences
	}
	if len(ours.children) == 0 {
		return append(differences, path+": inner fields not described")
	}
	for _, name := range unionOfKeys(theirs.children, ours.children) {
		child := strings.TrimPrefix(path+"."+name, ".")
		was, is := theirs.children[name], ours.children[name]
		switch {
		case was == nil:
			differences = append(differences, child+": added")
		case is == nil:
			differences = append(differences, child+": missing")
		default:
			differences = append(differences, compare(was, is, child)...)
		}
	}
	return differences
}

func unionOfKeys[V any](a, b map[string]V) []string {
	var keys []string
	for key := range a {
		keys = append(keys, key)
	}
	for key := range b {
		if _, both := a[key]; !both {
			keys = append(keys, key)
		}
	}
	return keys
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// treeLine is a line of a field tree: indentation, name, type, attributes.
var treeLine = regexp.MustCompile(`^( *)(\S+): (\S+)(.*)$`)

// treeAttribute is one attribute of a line.
var treeAttribute = regexp.MustCompile(`(REQ)|(minimum|maximum|minLength|maxLength|minItems|format|pattern|default)=(\S*)|enum=\[([^\]]*)`)

// parseTree reads a field tree: one line per field, two blanks deeper than the field that holds it.
func parseTree(t *testing.T, path string) *node {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	_, tree, found := strings.Cut(string(text), "\nroot: object\n")
	require.True(t, found)
	root := &node{attributes: map[string]string{"type": "object"}, children: map[string]*node{}}
	stack := []*node{root}
	for _, line := range strings.Split(strings.TrimRight(tree, "\n"), "\n") {
		match := treeLine.FindStringSubmatch(line)
		require.NotNil(t, match, line)
		depth := len(match[1]) / 2
		child := &node{attributes: parseAttributes(match[3], match[4]), children: map[string]*node{}}
		stack[depth-1].children[match[2]] = child
		stack = append(stack[:depth], child)
	}
	return root
}

func parseAttributes(kind, rest string) map[string]string {
	attributes := map[string]string{"type": kind}
	if kind == "?" {
		attributes["type"] = "int-or-string"
	}
	for _, match := range treeAttribute.FindAllStringSubmatch(rest, -1) {
		switch {
		case match[1] != "":
			attributes["required"] = "yes"
		case match[2] != "":
			attributes[match[2]] = strconv.Quote(match[3])
		default:
			var values []string
			for _, value := range strings.Split(match[4], ", ") {
				values = append(values, strings.Trim(value, "'"))
			}
			attributes["enum"] = sorted(values)
		}
	}
	return attributes
}

// sorted writes a set of words in a form that does not depend on their order. A long one is cut, as in the trees.
func sorted(values []string) string {
	if len(values) > 10 {
		return "of many"
	}
	slices.Sort(values)
	return strings.Join(values, "|")
}

func fromSchema(schema *apiextensionsv1.JSONSchemaProps, required bool) *node {
	n := &node{attributes: map[string]string{"type": schema.Type}, children: map[string]*node{}}
	if schema.XIntOrString {
		n.attributes["type"] = "int-or-string"
	}
	if required {
		n.attributes["required"] = "yes"
	}
	setNumber(n, "minimum", schema.Minimum)
	setNumber(n, "maximum", schema.Maximum)
	setNumber(n, "minLength", schema.MinLength)
	setNumber(n, "maxLength", schema.MaxLength)
	setNumber(n, "minItems", schema.MinItems)
	setNumber(n, "maxItems", schema.MaxItems)
	setNumber(n, "maxProperties", schema.MaxProperties)
	if schema.Default != nil {
		n.attributes["default"] = strconv.Quote(strings.Trim(string(schema.Default.Raw), `"`))
	}
	if schema.Format != "" {
		n.attributes["format"] = strconv.Quote(schema.Format)
	}
	if schema.Pattern != "" {
		n.attributes["pattern"] = strconv.Quote(schema.Pattern)
	}
	if len(schema.Enum) > 0 {
		var values []string
		for _, value := range schema.Enum {
			values = append(values, strings.Trim(string(value.Raw), `"`))
		}
		n.attributes["enum"] = sorted(values)
	}
	for name := range schema.Properties {
		child := schema.Properties[name]
		n.children[name] = fromSchema(&child, slices.Contains(schema.Required, name))
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		n.children["[]"] = fromSchema(schema.Items.Schema, false)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		n.children["<*>"] = fromSchema(schema.AdditionalProperties.Schema, false)
	}
	return n
}

func setNumber[N int64 | float64](n *node, name string, value *N) {
	if value != nil {
		n.attributes[name] = strconv.Quote(fmt.Sprint(*value))
	}
}
