package conversion

import "maps"

// toHub converts the body of an old version to the hub and leaves in the annotations what the hub cannot hold.
func (c Converter) toHub(from string, b body, notes annotations) (body, error) {
	b = knownBody(from, b)
	waiting := parse(notes.text(DataAnnotation))
	converted, err := plainUp(from, b, notes)
	if err != nil {
		return nil, err
	}
	restore(converted, waiting[hub])
	// Anybody can write the annotation, and what reads the hub must be able to decode every object of a list.
	converted = fitted(hub, converted)
	delete(waiting, hub)

	back := plainDown(from, converted, maps.Clone(notes))
	waiting[from] = differences(back, b)
	c.nameLicense(converted)
	return converted, notes.park(waiting, from)
}

// fromHub converts the body of the hub to an old version and leaves in the annotations what that cannot hold.
func fromHub(to string, b body, notes annotations) (body, error) {
	b = knownBody(hub, b)
	waiting := parse(notes.text(DataAnnotation))
	converted := plainDown(to, b, notes)
	restore(converted, waiting[to])
	delete(waiting, to)

	back, err := plainUp(to, converted, maps.Clone(notes))
	if err != nil {
		return nil, err
	}
	waiting[hub] = differences(back, b)
	return converted, notes.park(waiting, hub)
}

// plainUp maps a body to the hub without changing it, and parks the settings of the monitor in the annotations.
func plainUp(from string, b body, notes annotations) (body, error) {
	b = knownBody(from, b)
	if from == beta1 {
		if err := parkMonitor(b, notes); err != nil {
			return nil, err
		}
	}
	return up(from, b), nil
}

// plainDown maps the body of the hub to an old version without changing it, and takes the settings of the monitor
// from the annotations.
func plainDown(to string, b body, notes annotations) body {
	converted := down(to, knownBody(hub, b))
	if to == beta1 {
		returnMonitor(converted, notes)
	}
	return converted
}

// knownBody copies what a version knows of a body. Other fields are not part of the object: the API server drops
// them too. If they were kept, one that has a meaning in the other version would come alive there.
func knownBody(version string, b body) body {
	out := body{}
	for part, value := range b {
		if child := shapes[version].fields[part]; child != nil {
			out[part] = child.known(value)
		}
	}
	return out
}

// nameLicense names the licence of an object of an old version, which accepted the one of its version and use.
func (c Converter) nameLicense(b body) {
	spec, _ := b["spec"].(map[string]any)
	license, isObject := spec["license"].(map[string]any)
	_, isNamed := license["license"]
	if c.LicenseID == nil || !isObject || isNamed {
		return
	}
	version, _ := spec["version"].(string)
	use, _ := license["use"].(string)
	if id := c.LicenseID(version, use); id != "" {
		license["license"] = id
	}
}
