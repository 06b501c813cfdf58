package validating

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Kinds of values, which stand for the value in an error, as they do in errors of the API server's own rules.
const (
	stringKind  = "string"
	integerKind = "integer"
	booleanKind = "boolean"
	objectKind  = "object"
)

// Bounds of names that the operator hands to Kubernetes.
const maxNameLength = 253

// findings collects what is wrong with an object.
type findings struct {
	errors   field.ErrorList
	warnings []string
}

func (f *findings) invalid(path *field.Path, kind, detail string) {
	f.errors = append(f.errors, field.Invalid(path, kind, detail))
}

func (f *findings) required(path *field.Path, detail string) {
	f.errors = append(f.errors, field.Required(path, detail))
}

func (f *findings) forbidden(path *field.Path, detail string) {
	f.errors = append(f.errors, field.Forbidden(path, detail))
}

// warn adds a warning. It starts with the field's path.
func (f *findings) warn(path *field.Path, detail string) {
	f.warnings = append(f.warnings, path.String()+" "+detail)
}

// oneOf requires one of some values; an empty value is absent.
func oneOf[T ~string](f *findings, path *field.Path, value T, allowed ...T) {
	if value != "" && !slices.Contains(allowed, value) {
		f.errors = append(f.errors, field.NotSupported(path, stringKind, slices.Sorted(slices.Values(allowed))))
	}
}

// requiredOneOf is oneOf for a field that must be set.
func requiredOneOf[T ~string](f *findings, path *field.Path, value T, allowed ...T) {
	if value == "" {
		var names []string
		for _, name := range slices.Sorted(slices.Values(allowed)) {
			names = append(names, string(name))
		}
		f.required(path, "set it to one of "+strings.Join(names, ", "))
		return
	}
	oneOf(f, path, value, allowed...)
}

// atLeast requires a number of at least a bound, if there is one.
func atLeast[T int32 | int64](f *findings, path *field.Path, value *T, least T) {
	if value != nil && *value < least {
		f.invalid(path, integerKind, fmt.Sprintf("must be at least %d: raise it", least))
	}
}

// port requires the number of a port, if there is one.
func (f *findings) port(path *field.Path, value *int32) {
	if value != nil && len(validation.IsValidPortNum(int(*value))) > 0 {
		f.invalid(path, integerKind, "must be a port number: choose one from 1 to 65535")
	}
}

// atMost requires a list of at most some items.
func (f *findings) atMost(path *field.Path, items, most int) {
	if items > most {
		f.errors = append(f.errors, field.TooMany(path, items, most))
	}
}

// length requires a text of at most some characters.
func (f *findings) length(path *field.Path, value string, most int) {
	if utf8.RuneCountInString(value) > most {
		f.errors = append(f.errors, field.TooLongCharacters(path, stringKind, most))
	}
}

// unique requires that no two items of a list have one key. name is the field that holds the key.
func unique[T any](f *findings, path *field.Path, items []T, name string, key func(*T) string) {
	seen := map[string]bool{}
	for i := range items {
		k := key(&items[i])
		if seen[k] {
			f.errors = append(f.errors, field.Duplicate(path.Index(i).Child(name), stringKind))
		}
		seen[k] = true
	}
}

// object requires the name of a Secret, ConfigMap or ServiceAccount, if there is one.
func (f *findings) object(path *field.Path, name, kind string) {
	if name != "" && len(validation.IsDNS1123Subdomain(name)) > 0 {
		f.invalid(path, stringKind, "must be the name of a "+kind+": lower-case letters, digits, '-' and '.', at most 253 characters")
	}
}

// requiredObject is object for a field that must be set.
func (f *findings) requiredObject(path *field.Path, name, kind string) {
	if name == "" {
		f.required(path, "name a "+kind)
		return
	}
	f.object(path, name, kind)
}

// objects is requiredObject for each item of a list.
func (f *findings) objects(path *field.Path, names []string, kind string) {
	for i, name := range names {
		f.requiredObject(path.Index(i), name, kind)
	}
}

// part is a field with what matters of it.
type part struct {
	name  string
	isSet bool
}

func isTrue(value *bool) bool { return value != nil && *value }
