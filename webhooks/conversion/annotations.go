package conversion

import (
	"errors"
	"fmt"
	"maps"
)

// ErrMalformed says that the input is no object of this API: no JSON, no apiVersion, no kind, or metadata that is
// none.
var ErrMalformed = errors.New("malformed object")

// annotations are those of one object. Values that are no strings, which the API server never sends, are kept.
type annotations map[string]any

// readAnnotations returns a copy of an object's annotations.
func readAnnotations(object map[string]any) (annotations, error) {
	switch metadata := object["metadata"].(type) {
	case nil:
		return annotations{}, nil
	case map[string]any:
		switch existing := metadata["annotations"].(type) {
		case nil:
			return annotations{}, nil
		case map[string]any:
			return maps.Clone(existing), nil
		}
		return nil, fmt.Errorf("%w: metadata.annotations is no map", ErrMalformed)
	}
	return nil, fmt.Errorf("%w: metadata is no object", ErrMalformed)
}

// write puts the annotations into a copy of the object's metadata. The API server insists on metadata in what a
// conversion returns.
func (a annotations) write(object map[string]any) {
	metadata, _ := object["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]any{}
	}
	object["metadata"] = metadata
	if len(a) > 0 {
		metadata["annotations"] = map[string]any(a)
	} else {
		delete(metadata, "annotations")
	}
}

func (a annotations) text(key string) string {
	text, _ := a[key].(string)
	return text
}

// set sets or, with an empty value, removes an annotation.
func (a annotations) set(key, value string) {
	if value == "" {
		delete(a, key)
		return
	}
	a[key] = value
}

// size is what Kubernetes limits: the bytes of all keys and values.
func (a annotations) size() int {
	size := 0
	for key, value := range a {
		text, _ := value.(string)
		size += len(key) + len(text)
	}
	return size
}

// park writes what is parked. version is the one whose data this conversion added. Its status is left out when it
// does not fit, because the operator writes the status anew; a spec that does not fit is ErrTooLarge.
func (a annotations) park(p parked, version string) error {
	var size int
	for _, candidate := range []parked{p, p.withoutStatus(version)} {
		text, err := candidate.text()
		if err != nil {
			return err
		}
		a.set(DataAnnotation, text)
		if size = a.size(); size <= annotationsLimit {
			return nil
		}
	}
	return fmt.Errorf("%w: they would take %d bytes of at most %d; read and write the object as %s, which loses "+
		"nothing, or make its annotations smaller", ErrTooLarge, size, annotationsLimit, "datapower.ibm.com/"+version)
}
