package status

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// maxRememberedKeys bounds the memory of [keyReader]: some hundred bytes for
// each Secret or ConfigMap whose keys matter.
const maxRememberedKeys = 4096

// keyReader knows the names of the keys in Secrets and ConfigMaps. It reads an
// object from the API server when its resourceVersion changed since the last
// look, and remembers nothing of it but these names: no content stays in
// memory. It is safe for concurrent use.
type keyReader struct {
	live client.Reader
	memo *lru.Cache // types.UID -> rememberedKeys
}

type rememberedKeys struct {
	resourceVersion string
	keys            sets.Set[string]
}

func newKeyReader(live client.Reader) *keyReader {
	return &keyReader{live: live, memo: lru.New(maxRememberedKeys)}
}

// of returns the keys of the object with this metadata, a Secret or else a
// ConfigMap; exists is false when the object is gone by now.
func (k *keyReader) of(
	ctx context.Context, metadata *metav1.PartialObjectMetadata,
) (keys sets.Set[string], exists bool, err error) {
	if known, ok := k.memo.Get(metadata.UID); ok {
		if entry, ok := known.(rememberedKeys); ok && entry.resourceVersion == metadata.ResourceVersion {
			return entry.keys, true, nil
		}
	}
	object, keys, err := k.read(ctx, metadata)
	if err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, false, nil
		}
		return nil, false, fmt.Errorf("reading the keys of %s %q: %w", metadata.Kind, metadata.Name, err)
	}
	k.memo.Add(object.GetUID(), rememberedKeys{resourceVersion: object.GetResourceVersion(), keys: keys})
	return keys, true, nil
}

func (k *keyReader) read(
	ctx context.Context, metadata *metav1.PartialObjectMetadata,
) (client.Object, sets.Set[string], error) {
	key := client.ObjectKeyFromObject(metadata)
	if metadata.Kind == v1beta3.KindSecret {
		var secret corev1.Secret
		err := k.live.Get(ctx, key, &secret)
		return &secret, sets.KeySet(secret.Data), err
	}
	var configMap corev1.ConfigMap
	err := k.live.Get(ctx, key, &configMap)
	return &configMap, sets.KeySet(configMap.Data).Union(sets.KeySet(configMap.BinaryData)), err
}
