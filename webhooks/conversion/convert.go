package conversion

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// Kinds that this package converts.
const (
	serviceKind     = "DataPowerService"
	serviceListKind = "DataPowerServiceList"
)

var (
	// ErrUnknownVersion says that a version is none of datapower.ibm.com/v1beta1, v1beta2 and v1beta3.
	ErrUnknownVersion = errors.New("unknown version")
	// ErrUnknownKind says that the object is neither a DataPowerService nor a list of them.
	ErrUnknownKind = errors.New("unknown kind")
)

// Converter converts DataPowerService. The zero value is ready to use.
type Converter struct {
	// LicenseID names the licence for a spec.version, under its name of today, and a spec.license.use. It fills
	// v1beta3's spec.license.license, which the old versions lack, unless the object had one. It returns "" when it
	// does not know, and then the field stays absent. It must be a pure function. Nil knows nothing.
	LicenseID func(version, use string) string
}

// ConvertObject converts a DataPowerService or a DataPowerServiceList, as JSON, to desiredAPIVersion, for example
// datapower.ibm.com/v1beta3, with the zero Converter.
func ConvertObject(raw []byte, desiredAPIVersion string) ([]byte, error) {
	return Converter{}.ConvertObject(raw, desiredAPIVersion)
}

// ConvertObject converts a DataPowerService or a DataPowerServiceList, as JSON, to desiredAPIVersion. The items of a
// list may have different versions. Objects without spec, without status or without metadata convert. The result of
// v1beta3 always decodes into its Go type: a value of the wrong kind, which a schema without rules lets through, is
// parked. It fails with ErrMalformed, ErrUnknownVersion, ErrUnknownKind or ErrTooLarge.
func (c Converter) ConvertObject(raw []byte, desiredAPIVersion string) ([]byte, error) {
	to, err := versionOf(desiredAPIVersion)
	if err != nil {
		return nil, err
	}
	object, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return c.convert(object, to)
}

func decode(raw []byte) (map[string]any, error) {
	var object map[string]any
	if err := utiljson.Unmarshal(raw, &object); err != nil {
		return nil, fmt.Errorf("%w: no JSON object", ErrMalformed)
	}
	return object, nil
}

// convert converts an object, which is used up.
func (c Converter) convert(object map[string]any, to string) (out []byte, err error) {
	switch object["kind"] {
	case serviceKind:
		object, err = c.service(object, to)
	case serviceListKind:
		object, err = c.list(object, to)
	default:
		return nil, fmt.Errorf("%w: want %s or %s", ErrUnknownKind, serviceKind, serviceListKind)
	}
	if err != nil {
		return nil, err
	}
	text, err := compact(object)
	return []byte(text), err
}

// list converts each item, which has the version of the list when it names none.
func (c Converter) list(list map[string]any, to string) (map[string]any, error) {
	if _, err := versionOf(list["apiVersion"]); err != nil {
		return nil, err
	}
	items, isList := list["items"].([]any)
	if !isList && list["items"] != nil {
		return nil, fmt.Errorf("%w: items is no list", ErrMalformed)
	}
	for i, element := range items {
		item, isObject := element.(map[string]any)
		if !isObject {
			return nil, fmt.Errorf("%w: items[%d] is no object", ErrMalformed, i)
		}
		if item["apiVersion"] == nil && item["kind"] == nil {
			item["apiVersion"], item["kind"] = list["apiVersion"], serviceKind
		}
		if item["kind"] != serviceKind {
			return nil, fmt.Errorf("items[%d]: %w: want %s", i, ErrUnknownKind, serviceKind)
		}
		converted, err := c.service(item, to)
		if err != nil {
			return nil, fmt.Errorf("items[%d]: %w", i, err)
		}
		items[i] = converted
	}
	list["apiVersion"] = datapower.Group + "/" + to
	return list, nil
}

// service converts one object, which is used up.
func (c Converter) service(object map[string]any, to string) (map[string]any, error) {
	from, err := versionOf(object["apiVersion"])
	if err != nil {
		return nil, named(err, object)
	}
	if from == to {
		return object, nil
	}
	notes, err := readAnnotations(object)
	if err != nil {
		return nil, named(err, object)
	}
	b := body{}
	for _, part := range []string{"spec", "status"} {
		if value, ok := object[part]; ok {
			b[part] = value
		}
		delete(object, part)
	}
	if from != hub {
		if b, err = c.toHub(from, b, notes); err != nil {
			return nil, named(err, object)
		}
	}
	if to != hub {
		if b, err = fromHub(to, b, notes); err != nil {
			return nil, named(err, object)
		}
	}
	for part, value := range b {
		object[part] = value
	}
	notes.write(object)
	object["apiVersion"] = datapower.Group + "/" + to
	return object, nil
}

// versionOf is the version of an apiVersion of this package's group.
func versionOf(apiVersion any) (string, error) {
	text, _ := apiVersion.(string)
	gv, err := schema.ParseGroupVersion(text)
	if err != nil || gv.Group != datapower.Group || !slices.Contains([]string{beta1, beta2, hub}, gv.Version) {
		return "", fmt.Errorf("%w %q: want %s/%s, %s or %s", ErrUnknownVersion, text, datapower.Group, beta1, beta2, hub)
	}
	return gv.Version, nil
}

// named adds to an error which object it is about.
func named(err error, object map[string]any) error {
	metadata, _ := object["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	name, _ := metadata["name"].(string)
	return fmt.Errorf("%s %s/%s: %w", serviceKind, namespace, name, err)
}
