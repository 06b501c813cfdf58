package defaulting

import (
	"encoding/json"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
)

// owner is what one field manager owns of a spec.
type owner struct {
	fields  map[string]any // in the form of fieldsV1, below f:spec
	applies bool           // by server-side apply
}

type owners []owner

// ownersOf reads the field managers of an object, and what its last `kubectl apply` wrote.
func ownersOf(object map[string]any) owners {
	var out owners
	managers, _ := at(object, "metadata", "managedFields").([]any)
	for _, element := range managers {
		manager, _ := element.(map[string]any)
		fields, ok := at(manager, "fieldsV1", "f:spec").(map[string]any)
		if ok && manager["subresource"] == nil {
			out = append(out, owner{fields, manager["operation"] == "Apply"})
		}
	}
	if applied := lastApplied(object); len(out) > 0 && applied != nil {
		out = append(out, owner{fields: fieldsV1Of(applied)})
	}
	return out
}

// lastApplied is the spec that `kubectl apply` has noted, of the object's own version. A value that is written there and equals the
// stored default has no field manager: the API server gives a field only to who changes it.
func lastApplied(object map[string]any) map[string]any {
	text, _ := at(object, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration").(string)
	var noted map[string]any
	if json.Unmarshal([]byte(text), &noted) != nil || noted["apiVersion"] != object["apiVersion"] {
		return nil
	}
	spec, _ := noted["spec"].(map[string]any)
	return spec
}

// fieldsV1Of are the fields of an object in the form of fieldsV1.
func fieldsV1Of(object map[string]any) map[string]any {
	fields := make(map[string]any, len(object))
	for name, value := range object {
		inner, _ := value.(map[string]any)
		fields["f:"+name] = fieldsV1Of(inner)
	}
	return fields
}

// own tells whether anybody owns a field of the spec or something in it.
func (o owners) own(path []string) bool {
	return slices.ContainsFunc(o, func(who owner) bool { return who.owns(path) })
}

// apply tells the same of those who apply.
func (o owners) apply(path []string) bool {
	return slices.ContainsFunc(o, func(who owner) bool { return who.applies && who.owns(path) })
}

func (o owner) owns(path []string) bool {
	fields := o.fields
	for _, name := range path {
		var isOwned bool
		if fields, isOwned = fields["f:"+name].(map[string]any); !isOwned {
			return false
		}
	}
	return true
}

// atomicObject is the field whose object has one owner as a whole (x-kubernetes-map-type: atomic in the definition), the only
// one among the defaults: managedFields tell of it, and of nothing in it.
const atomicObject = "requiredDuringSchedulingIgnoredDuringExecution"

// leaf is a field that holds no object with fields, or one that is owned as a whole.
type leaf struct {
	path  []string
	value any
}

func leaves(object map[string]any, path []string) []leaf {
	var out []leaf
	for name, value := range object {
		below := append(slices.Clip(path), name)
		if inner, isMap := value.(map[string]any); isMap && len(inner) > 0 && name != atomicObject {
			out = append(out, leaves(inner, below)...)
		} else {
			out = append(out, leaf{below, value})
		}
	}
	return out
}

// refresh computes defaults anew that were filled in before and whose surroundings have changed. A field counts as a
// default when nobody owns it, before or after the request, when it is what fill makes of the stored spec
// without it, and when the request leaves it as it was. Users who send whole objects send defaults along: those stay
// unless another default takes their place, or unless they contradict what the user wrote. Where an object has no field
// managers nothing is touched.
func refresh(object, old map[string]any, fill func(map[string]any)) {
	spec, isObject := object["spec"].(map[string]any)
	stored, isStored := old["spec"].(map[string]any)
	managers, before := ownersOf(object), ownersOf(old)
	if !isObject || !isStored || len(managers) == 0 || len(before) == 0 {
		return
	}
	dropDefaultUsers(spec, stored, managers, fill)
	defaults := slices.DeleteFunc(filledIn(stored, before, fill), func(field leaf) bool {
		return managers.own(field.path) || !reflect.DeepEqual(at(spec, field.path...), field.value)
	})
	fresh := runtime.DeepCopyJSON(spec)
	for _, field := range defaults {
		remove(fresh, field.path, managers)
	}
	fill(fresh)
	for _, field := range defaults {
		switch value := at(fresh, field.path...); {
		case value != nil:
			parent, _ := at(spec, field.path[:len(field.path)-1]...).(map[string]any)
			parent[field.path[len(field.path)-1]] = value
		case yields(spec, field.path, managers):
			remove(spec, field.path, managers)
		}
	}
}

// dropDefaultUsers removes the default users beside users that somebody applies for the first time. Server-side apply
// merges users by name, while default users are for services that name none.
func dropDefaultUsers(spec, stored map[string]any, managers owners, fill func(map[string]any)) {
	users := []string{"users"}
	if !managers.apply(users) {
		return
	}
	filled := runtime.DeepCopyJSON(stored)
	delete(filled, "users")
	fill(filled)
	defaults, _ := filled["users"].([]any)
	if !reflect.DeepEqual(stored["users"], filled["users"]) {
		return
	}
	isUnowned := func(user any) bool {
		object, _ := user.(map[string]any)
		key, err := json.Marshal(map[string]any{"name": object["name"]})
		return err == nil && !slices.ContainsFunc(managers, func(who owner) bool {
			return at(who.fields, "f:users", "k:"+string(key)) != nil
		})
	}
	if all, ok := spec["users"].([]any); ok {
		spec["users"] = slices.DeleteFunc(all, func(user any) bool {
			isDefault := slices.ContainsFunc(defaults, func(d any) bool { return reflect.DeepEqual(d, user) })
			return isDefault && isUnowned(user)
		})
	}
}

// filledIn are the fields of a spec that nobody owns and that are what fill makes of the spec without them.
func filledIn(spec map[string]any, managers owners, fill func(map[string]any)) []leaf {
	owned := runtime.DeepCopyJSON(spec)
	for _, field := range leaves(owned, nil) {
		if !managers.own(field.path) {
			remove(owned, field.path, managers)
		}
	}
	filled := runtime.DeepCopyJSON(owned)
	fill(filled)
	return slices.DeleteFunc(leaves(filled, nil), func(field leaf) bool {
		isNew := field.value != nil && at(owned, field.path...) == nil
		return !isNew || !reflect.DeepEqual(at(spec, field.path...), field.value)
	})
}

// remove removes a field, and the objects around it that become empty and that nobody owns.
func remove(object map[string]any, path []string, managers owners) {
	for length := len(path); length > 0; length-- {
		parent, _ := at(object, path[:length-1]...).(map[string]any)
		inner, _ := parent[path[length-1]].(map[string]any)
		if length < len(path) && (len(inner) > 0 || managers.own(path[:length])) {
			return
		}
		delete(parent, path[length-1])
	}
}

// yields tells whether a default must go because of what the user wrote beside it: the default handler of a probe
// beside another handler, and the rest of the default affinity beside an affinity that somebody applies, because a
// value of the field replaces the default whole.
func yields(spec map[string]any, path []string, managers owners) bool {
	if path[0] == "affinity" {
		return managers.apply(path[:1])
	}
	probe, isProbe := spec[path[0]].(map[string]any)
	if !isProbe || len(path) < 2 || !handlers[path[1]] {
		return false
	}
	for handler := range handlers {
		if handler != path[1] && probe[handler] != nil {
			return true
		}
	}
	return false
}
