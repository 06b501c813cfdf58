package defaulting

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/api/resource"
)

// minimumCores is the least CPU request that v1beta1 can say, in cores.
const minimumCores = 4

// fillResources fills in requests and limits by license.use. A default never contradicts what the user gave: a default
// request is lowered to the user's limit, a default limit is raised to the request, and a limit without default is the
// request.
func fillResources(version string, spec map[string]any, d Defaults) {
	use, _ := at(spec, "license", "use").(string)
	defaults, known := at(d.raw, "resources", use).(map[string]any)
	given, isMap := spec["resources"].(map[string]any)
	if !known || spec["resources"] != nil && !isMap {
		return
	}
	if given == nil {
		given = map[string]any{}
	}
	for _, name := range []string{"cpu", "memory"} {
		request, limit := pair(given, defaults, name)
		setResource(given, "requests", name, request, version)
		setResource(given, "limits", name, limit, version)
	}
	if len(given) > 0 {
		spec["resources"] = given
	}
}

// pair is the request and the limit of a resource that apply. A value that is no quantity makes both nil: there is
// nothing to compare defaults with.
func pair(given, defaults map[string]any, name string) (request, limit any) {
	request, limit = at(given, "requests", name), at(given, "limits", name)
	if !quantityOrNothing(request) || !quantityOrNothing(limit) {
		return nil, nil
	}
	if nothing(request) {
		request = at(defaults, "requests", name)
		if !nothing(limit) && less(limit, request) {
			request = limit
		}
	}
	if nothing(limit) {
		limit = at(defaults, "limits", name)
		if nothing(limit) || less(limit, request) {
			limit = request
		}
	}
	return request, limit
}

// setResource sets a request or a limit that is absent, in a form that the version can hold; if there is none, the
// default is left to the chart.
func setResource(resources map[string]any, half, name string, value any, version string) {
	switch {
	case at(resources, half, name) != nil || nothing(value):
		return
	case version != "v1beta3" && half == "limits" && name == "cpu":
		return
	case version != "v1beta3" && name == "memory":
		value = textOf(value)
	case version == "v1beta1" && name == "cpu":
		quantity, _ := parse(value)
		cores := quantity.Value() // rounded up
		if cores < minimumCores || quantity.CmpInt64(cores) != 0 {
			return
		}
		value = cores
	}
	if quantities := child(resources, half); quantities != nil {
		absent(quantities, name, value)
	}
}

// nothing tells whether a template would take a value for "not set".
func nothing(value any) bool {
	_, isNumber := number(value)
	text, isText := value.(string)
	return !isNumber && (!isText || text == "")
}

func quantityOrNothing(value any) bool {
	_, err := parse(value)
	return err == nil || nothing(value)
}

func less(a, b any) bool {
	left, errLeft := parse(a)
	right, errRight := parse(b)
	return errLeft == nil && errRight == nil && left.Cmp(right) < 0
}

// parse reads a quantity from a JSON string or number.
func parse(value any) (resource.Quantity, error) { return resource.ParseQuantity(textOf(value)) }

// textOf is the text of a quantity that is a JSON string or number, empty for anything else.
func textOf(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	if _, isNumber := number(value); !isNumber {
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}
