package conversion

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// kind is the sort of JSON that a Go type decodes from.
type kind int

const (
	anyKind kind = iota
	objectKind
	mapKind
	listKind
	stringKind
	boolKind
	intKind
	quantityKind
	intOrStringKind
	timeKind
)

// shape is the JSON form of a Go type: which fields it has, and what each can be decoded from.
type shape struct {
	kind   kind
	fields map[string]*shape // of an objectKind
	elem   *shape            // of a mapKind or listKind
	min    int64             // of an intKind
	max    int64             // of an intKind
}

// special are the types that decode themselves.
var special = map[reflect.Type]kind{
	reflect.TypeFor[resource.Quantity]():    quantityKind,
	reflect.TypeFor[intstr.IntOrString]():   intOrStringKind,
	reflect.TypeFor[metav1.Time]():          timeKind,
	reflect.TypeFor[runtime.RawExtension](): anyKind,
}

// shapeOf reads the shape of a type that the API is made of. Types are finite trees, so it ends.
func shapeOf(t reflect.Type) *shape {
	if k, ok := special[t]; ok {
		return &shape{kind: k}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shapeOf(t.Elem())
	case reflect.Struct:
		s := &shape{kind: objectKind, fields: map[string]*shape{}}
		s.addFields(t)
		return s
	case reflect.Map:
		return &shape{kind: mapKind, elem: shapeOf(t.Elem())}
	case reflect.Slice:
		return &shape{kind: listKind, elem: shapeOf(t.Elem())}
	case reflect.String:
		return &shape{kind: stringKind}
	case reflect.Bool:
		return &shape{kind: boolKind}
	case reflect.Int32:
		return &shape{kind: intKind, min: math.MinInt32, max: math.MaxInt32}
	case reflect.Int64:
		return &shape{kind: intKind, min: math.MinInt64, max: math.MaxInt64}
	default:
		return &shape{kind: anyKind}
	}
}

// addFields adds the fields of a struct under their JSON names, those of an embedded one as if they were its own.
func (s *shape) addFields(t reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported():
		case name == "" && field.Anonymous:
			s.addFields(field.Type)
		default:
			s.fields[name] = shapeOf(field.Type)
		}
	}
}

// bodyShape is the shape of spec and status together.
func bodyShape[Spec, Status any]() *shape {
	return &shape{kind: objectKind, fields: map[string]*shape{
		"spec":   shapeOf(reflect.TypeFor[Spec]()),
		"status": shapeOf(reflect.TypeFor[Status]()),
	}}
}

// schemalessAffinity marks spec.affinity as a field that the API server stores as it is: the schemas of the old
// versions do not describe it.
func (s *shape) schemalessAffinity() *shape {
	s.fields["spec"].fields["affinity"] = &shape{kind: anyKind}
	return s
}

// known returns a copy of value without the fields that the shape does not have. The API server drops them too.
// What has the wrong kind is kept.
func (s *shape) known(value any) any {
	kept, _ := s.copy(value, false)
	return kept
}

// fit returns a copy of value without the fields that the shape does not have or cannot be decoded from, so that the
// result always decodes into the Go type. It reports false when the value itself cannot.
func (s *shape) fit(value any) (any, bool) { return s.copy(value, true) }

func (s *shape) copy(value any, strict bool) (any, bool) {
	switch v := value.(type) {
	case nil:
		return nil, true
	case map[string]any:
		return s.copyMap(v, strict)
	case []any:
		return s.copyList(v, strict)
	default:
		return value, !strict || s.decodes(value)
	}
}

func (s *shape) copyMap(value map[string]any, strict bool) (any, bool) {
	if s.kind != objectKind && s.kind != mapKind && s.kind != anyKind {
		return runtime.DeepCopyJSON(value), !strict
	}
	out := make(map[string]any, len(value))
	for name, v := range value {
		child := s.child(name)
		if child == nil {
			continue
		}
		if kept, ok := child.copy(v, strict); ok {
			out[name] = kept
		}
	}
	return out, true
}

func (s *shape) copyList(value []any, strict bool) (any, bool) {
	if s.kind != listKind && s.kind != anyKind {
		return runtime.DeepCopyJSONValue(value), !strict
	}
	elem := s.elem
	if s.kind == anyKind {
		elem = s
	}
	out := make([]any, len(value))
	for i, v := range value {
		kept, ok := elem.copy(v, strict)
		if !ok {
			return nil, false
		}
		out[i] = kept
	}
	return out, true
}

// child is the shape of a field, nil when there is no such field.
func (s *shape) child(name string) *shape {
	switch s.kind {
	case objectKind:
		return s.fields[name]
	case mapKind:
		return s.elem
	default:
		return s
	}
}

// decodes tells whether a scalar of JSON can be decoded into the shape's type.
func (s *shape) decodes(scalar any) bool {
	switch s.kind {
	case anyKind:
		return true
	case stringKind:
		_, ok := scalar.(string)
		return ok
	case boolKind:
		_, ok := scalar.(bool)
		return ok
	case intKind:
		n, ok := wholeNumber(scalar)
		return ok && s.min <= n && n <= s.max
	case intOrStringKind:
		n, ok := wholeNumber(scalar)
		_, text := scalar.(string)
		return text || ok && math.MinInt32 <= n && n <= math.MaxInt32
	case timeKind:
		text, ok := scalar.(string)
		_, err := time.Parse(time.RFC3339, text)
		return ok && err == nil
	case quantityKind:
		_, ok := quantityOf(scalar)
		return ok
	default:
		return false
	}
}

// wholeNumber is the value of a JSON number without a fraction.
func wholeNumber(scalar any) (int64, bool) {
	switch n := scalar.(type) {
	case int64:
		return n, true
	case float64:
		// Beyond 2^53 a float64 stands for several whole numbers.
		whole := n == math.Trunc(n) && math.Abs(n) <= 1<<53
		return int64(n), whole
	default:
		return 0, false
	}
}

// quantityOf reads a quantity from a JSON string or number.
func quantityOf(scalar any) (resource.Quantity, bool) {
	text, ok := scalar.(string)
	if !ok {
		var isNumber bool
		if text, isNumber = numberText(scalar); !isNumber {
			return resource.Quantity{}, false
		}
	}
	q, err := resource.ParseQuantity(text)
	return q, err == nil
}

// numberText is the text of a JSON number.
func numberText(scalar any) (string, bool) {
	switch scalar.(type) {
	case int64, float64:
		text, err := json.Marshal(scalar)
		return string(text), err == nil
	default:
		return "", false
	}
}
