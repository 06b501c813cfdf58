package storagemigration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/retry"
)

// ErrChanged says that the definition has changed in a way that makes the work done so far worthless.
var ErrChanged = errors.New("the definition has changed during the migration")

// fieldManager owns what this package writes.
const fieldManager = "datapower-storage-migration"

// Definitions reads and writes the status of definitions.
type Definitions interface {
	Get(ctx context.Context, name string, options metav1.GetOptions) (*apiextensionsv1.CustomResourceDefinition, error)
	Patch(ctx context.Context, name string, kind types.PatchType, data []byte, options metav1.PatchOptions, subresources ...string) (*apiextensionsv1.CustomResourceDefinition, error)
}

// Needed tells whether objects of a definition may be stored in a version that is not its storage version, and whether
// they can be rewritten now: versions that differ in more than their name need a conversion webhook for that.
func Needed(definition *apiextensionsv1.CustomResourceDefinition) bool {
	storage := storageVersion(definition)
	return storage != "" && !slices.Equal(definition.Status.StoredVersions, []string{storage}) &&
		len(definition.Status.StoredVersions) > 0 &&
		definition.Spec.Conversion != nil && definition.Spec.Conversion.Strategy == apiextensionsv1.WebhookConverter
}

// storageVersion is the version in which objects are written, "" when there is none.
func storageVersion(definition *apiextensionsv1.CustomResourceDefinition) string {
	for _, version := range definition.Spec.Versions {
		if version.Storage {
			return version.Name
		}
	}
	return ""
}

// migration is one try to migrate.
type migration struct {
	objects     metadata.Interface
	definitions Definitions
	limit       flowcontrol.RateLimiter
	pageSize    int64
	metrics     *Metrics
	log         logr.Logger
}

// run rewrites every object and prunes the stored versions.
func (m *migration) run(ctx context.Context, definition *apiextensionsv1.CustomResourceDefinition) error {
	storage := storageVersion(definition)
	resource := schema.GroupVersionResource{Group: definition.Spec.Group, Version: storage, Resource: definition.Spec.Names.Plural}
	m.log.Info("rewriting objects that may be stored in an old version", "definition", definition.Name,
		"storedVersions", definition.Status.StoredVersions, "storageVersion", storage)
	done := 0
	options := metav1.ListOptions{Limit: m.pageSize}
	for {
		page, err := m.objects.Resource(resource).List(ctx, options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			// The list took too long. What comes first now has been rewritten, which is soon seen.
			options.Continue = ""
			continue
		}
		if err != nil {
			return fmt.Errorf("listing objects to rewrite: %w", err)
		}
		for i := range page.Items {
			if err := m.rewrite(ctx, resource, &page.Items[i]); err != nil {
				return err
			}
			done++
		}
		if page.Continue == "" {
			break
		}
		m.log.Info("rewriting objects", "definition", definition.Name, "done", done, "remaining", remaining(page))
		options.Continue = page.Continue
	}
	if err := m.prune(ctx, definition, storage); err != nil {
		return err
	}
	m.log.Info("all objects are stored in the storage version", "definition", definition.Name, "storageVersion", storage, "objects", done)
	return nil
}

func remaining(page *metav1.PartialObjectMetadataList) int64 {
	if page.RemainingItemCount == nil {
		return 0
	}
	return *page.RemainingItemCount
}

// rewrite makes the API server store an object anew.
func (m *migration) rewrite(ctx context.Context, resource schema.GroupVersionResource, object *metav1.PartialObjectMetadata) error {
	objects := m.objects.Resource(resource).Namespace(object.Namespace)
	uid, version := object.UID, object.ResourceVersion
	err := retry.OnError(retry.DefaultBackoff, apierrors.IsConflict, func() error {
		if err := m.limit.Wait(ctx); err != nil {
			return err
		}
		patch, err := guard(uid, version)
		if err != nil {
			return err
		}
		_, err = objects.Patch(ctx, object.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager}, "status")
		if !apierrors.IsConflict(err) {
			return err
		}
		now, getErr := objects.Get(ctx, object.Name, metav1.GetOptions{})
		if getErr != nil {
			return getErr
		}
		if now.UID != uid {
			return apierrors.NewNotFound(resource.GroupResource(), object.Name) // another object of the same name is stored anew
		}
		version = now.ResourceVersion
		return err
	})
	switch {
	case apierrors.IsNotFound(err):
		m.metrics.object(outcomeGone)
		return nil
	case err != nil:
		m.metrics.object(outcomeFailed)
		return fmt.Errorf("rewriting %s %s/%s: %w", resource.Resource, object.Namespace, object.Name, err)
	}
	m.metrics.object(outcomeRewritten)
	return nil
}

// guard is a patch that changes nothing, provided that the object still is the one that was looked at.
func guard(uid types.UID, resourceVersion string) ([]byte, error) {
	return json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid, "resourceVersion": resourceVersion}})
}

// prune takes the old versions off the definition's status. Since the objects were listed, the definition may have got
// another storage version, and with it objects in another version: then it fails with [ErrChanged].
func (m *migration) prune(ctx context.Context, listed *apiextensionsv1.CustomResourceDefinition, storage string) error {
	return retry.OnError(retry.DefaultBackoff, apierrors.IsConflict, func() error {
		now, err := m.definitions.Get(ctx, listed.Name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading the definition: %w", err)
		}
		if now.UID != listed.UID || now.Generation != listed.Generation || storageVersion(now) != storage {
			return ErrChanged
		}
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": now.ResourceVersion},
			"status":   map[string]any{"storedVersions": []string{storage}},
		})
		if err != nil {
			return err
		}
		_, err = m.definitions.Patch(ctx, listed.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager}, "status")
		return err
	})
}
