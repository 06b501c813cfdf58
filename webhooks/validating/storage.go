package validating

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// Bounds of the schema.
const (
	maxStorage    = 24
	maxPathLength = 1024
)

// remedy for what a StatefulSet keeps for life.
const newService = "create a new DataPowerService"

func (f *findings) storage(storage []v1beta3.Storage, path *field.Path) {
	f.atMost(path, len(storage), maxStorage)
	unique(f, path, storage, "path", func(s *v1beta3.Storage) string { return s.Path })
	keeps, deletes := 0, 0
	for i := range storage {
		f.volume(&storage[i], path.Index(i))
		if storage[i].Type == v1beta3.StorageTypePersistent {
			keeps += set(!isTrue(storage[i].DeleteClaim))
			deletes += set(isTrue(storage[i].DeleteClaim))
		}
	}
	if keeps > 0 && deletes > 0 {
		f.warn(path, "deletes no claim: a StatefulSet has one switch for all, and some entries keep theirs")
	}
}

func (f *findings) volume(storage *v1beta3.Storage, path *field.Path) {
	requiredOneOf(f, path.Child("type"), storage.Type, v1beta3.StorageTypeEphemeral, v1beta3.StorageTypePersistent)
	f.length(path.Child("path"), storage.Path, maxPathLength)
	if storage.Path == "" {
		f.required(path.Child("path"), "name a directory, for example /opt/ibm/datapower/drouter/config")
	}
	if storage.Path != "" && !strings.HasPrefix(storage.Path, "/") {
		f.invalid(path.Child("path"), stringKind, "path must be absolute: begin it with /")
	}
	if strings.Contains(storage.Path, ":") {
		f.invalid(path.Child("path"), stringKind, "path must not contain ':', Kubernetes refuses such a mount: choose another directory")
	}
	f.length(path.Child("class"), storage.Class, maxNameLength)
	f.size(storage, path.Child("size"))
	//lint:ignore SA1019 users must learn that the field is ignored
	if storage.VolumeMode != "" {
		f.warn(path.Child("volumeMode"), "is deprecated and ignored: the mode is always Filesystem")
	}
	if storage.Type != v1beta3.StorageTypeEphemeral {
		return
	}
	for _, part := range []part{
		{"class", storage.Class != ""}, {"selector", storage.Selector != nil}, {"deleteClaim", isTrue(storage.DeleteClaim)},
	} {
		if part.isSet {
			f.warn(path.Child(part.name), "has no effect: the type is ephemeral")
		}
	}
}

func (f *findings) size(storage *v1beta3.Storage, path *field.Path) {
	persistent := storage.Type == v1beta3.StorageTypePersistent
	switch {
	case storage.Size == nil && persistent:
		f.required(path, "size is required when type is persistent: say how much storage to claim, for example 5Gi")
	case storage.Size != nil && (storage.Size.Sign() < 0 || persistent && storage.Size.IsZero()):
		f.invalid(path, stringKind, "must be greater than zero: say how much storage to claim, for example 5Gi")
	}
}

// podManagementPolicy is what the StatefulSet has; absent, it is what the CRD's rule takes it for.
func podManagementPolicy(spec *v1beta3.DataPowerServiceSpec) v1beta3.PodManagementPolicy {
	if spec.PodManagementPolicy == "" {
		return "Parallel"
	}
	return spec.PodManagementPolicy
}

// immutable refuses changes of what a StatefulSet keeps for life.
func (f *findings) immutable(spec, old *v1beta3.DataPowerServiceSpec) {
	if podManagementPolicy(old) != podManagementPolicy(spec) {
		f.forbidden(specPath.Child("podManagementPolicy"), "podManagementPolicy must not change, a StatefulSet keeps it for life: "+newService)
	}
	path := specPath.Child("storage")
	was := persistentByPath(old.Storage)
	for i := range spec.Storage {
		storage := &spec.Storage[i]
		if storage.Type != v1beta3.StorageTypePersistent {
			continue
		}
		if before := was[storage.Path]; before != nil {
			f.sameClaim(storage, before, path.Index(i))
		} else {
			f.forbidden(path.Index(i), "persistent storage must not be added to an existing service: "+newService)
		}
	}
	is := persistentByPath(spec.Storage)
	for claimed := range was {
		if is[claimed] == nil {
			f.forbidden(path, "persistent storage must not be removed from an existing service: keep the entry or "+newService)
			return
		}
	}
}

// sameClaim refuses changes of a claim. A size that is only written in another way is the same.
func (f *findings) sameClaim(storage, before *v1beta3.Storage, path *field.Path) {
	for _, changed := range []part{
		{"size", !sameQuantity(storage.Size, before.Size)},
		{"class", storage.Class != before.Class},
		{"selector", !equality.Semantic.DeepEqual(storage.Selector, before.Selector)},
		{"deleteClaim", isTrue(storage.DeleteClaim) != isTrue(before.DeleteClaim)},
	} {
		if changed.isSet {
			f.forbidden(path.Child(changed.name), changed.name+" of persistent storage must not change: "+newService)
		}
	}
}

func sameQuantity(a, b *resource.Quantity) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Cmp(*b) == 0
}

func persistentByPath(storage []v1beta3.Storage) map[string]*v1beta3.Storage {
	out := map[string]*v1beta3.Storage{}
	for i := range storage {
		if storage[i].Type == v1beta3.StorageTypePersistent {
			out[storage[i].Path] = &storage[i]
		}
	}
	return out
}
