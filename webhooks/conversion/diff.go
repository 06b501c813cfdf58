package conversion

import (
	"maps"
	"reflect"
	"slices"
)

// change is one field that differs between what an object had and what comes back after a conversion there and back.
type change struct {
	// path leads to the field: names of fields, and of items of keyed lists. The last step is the name of a field.
	path []step
	// shown is what came back, value what the object had; absent when the field was missing.
	shown, value optional
}

// step is one step of a path: the name of a field, or, with a key, the item of a list whose field key has this name.
type step struct {
	key  string
	name string
}

// optional is a value of JSON, or nothing: null is a value.
type optional struct {
	value   any
	present bool
}

func field(object map[string]any, name string) optional {
	value, present := object[name]
	return optional{value, present}
}

// listKeys names the lists whose items are found again by one of their fields when users insert, remove or reorder
// items. Other lists count as one value.
var listKeys = map[string]string{
	"spec.domains":                       "name",
	"spec.storage":                       "path",
	"status.conditions":                  "type",
	"status.versions.available.channels": "name",
	"status.versions.available.versions": "name",
}

// differences lists, in a stable order, what must change in shown to make it want. Neither is changed.
func differences(shown, want body) []change {
	d := &differ{}
	d.objects(nil, "", shown, want)
	return d.changes
}

type differ struct{ changes []change }

// objects compares two objects. plain is the path without the names of list items, for listKeys.
func (d *differ) objects(path []step, plain string, shown, want map[string]any) {
	names := map[string]bool{}
	for name := range shown {
		names[name] = true
	}
	for name := range want {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		below := name
		if plain != "" {
			below = plain + "." + name
		}
		d.field(append(slices.Clip(path), step{name: name}), below, field(shown, name), field(want, name))
	}
}

func (d *differ) field(path []step, plain string, shown, want optional) {
	if reflect.DeepEqual(shown, want) {
		return
	}
	shownObject, isObject := shown.value.(map[string]any)
	wantObject, wasObject := want.value.(map[string]any)
	if isObject && wasObject {
		d.objects(path, plain, shownObject, wantObject)
		return
	}
	if key, keyed := listKeys[plain]; keyed && sameItems(shown.value, want.value, key) {
		d.items(path, plain, key, shown.value, want.value)
		return
	}
	d.changes = append(d.changes, change{path: path, shown: shown, value: want})
}

// items compares two lists that sameItems found to have the same items.
func (d *differ) items(path []step, plain, key string, shown, want any) {
	shownItems, _ := keyedItems(shown, key)
	wantItems, names := keyedItems(want, key)
	for i, name := range names {
		d.objects(append(slices.Clip(path), step{key: key, name: name}), plain, shownItems[i], wantItems[i])
	}
}

// sameItems tells whether two values are lists of objects that have the same names in the same order, each once.
func sameItems(a, b any, key string) bool {
	_, namesA := keyedItems(a, key)
	_, namesB := keyedItems(b, key)
	return len(namesA) > 0 && slices.Equal(namesA, namesB)
}

// keyedItems returns the items of a list and their names, nothing when an item is no object or has no name of its own.
func keyedItems(value any, key string) (items []map[string]any, names []string) {
	list, _ := value.([]any)
	seen := map[string]bool{}
	for _, element := range list {
		item, _ := element.(map[string]any)
		name, named := item[key].(string)
		if !named || seen[name] {
			return nil, nil
		}
		seen[name] = true
		items, names = append(items, item), append(names, name)
	}
	return items, names
}

// restore makes those changes in b whose field is as the conversion left it. A field that looks different was changed
// by somebody since, and one whose surroundings are gone was removed with them: both stay as they are.
func restore(b body, changes []change) {
	for _, c := range changes {
		parent, ok := find(b, c.path[:len(c.path)-1])
		name := c.path[len(c.path)-1].name
		if !ok || !reflect.DeepEqual(field(parent, name), c.shown) {
			continue
		}
		if c.value.present {
			parent[name] = c.value.value
		} else {
			delete(parent, name)
		}
	}
}

// find follows a path to an object.
func find(b body, path []step) (map[string]any, bool) {
	var current any = b
	for _, s := range path {
		current = s.in(current)
	}
	object, ok := current.(map[string]any)
	return object, ok
}

// in takes the step: the value of the field or the item of the list, nil when there is none.
func (s step) in(value any) any {
	if s.key == "" {
		object, _ := value.(map[string]any)
		return object[s.name]
	}
	items, names := keyedItems(value, s.key)
	if i := slices.Index(names, s.name); i >= 0 {
		return items[i]
	}
	return nil
}
