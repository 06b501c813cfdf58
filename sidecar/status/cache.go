package status

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// helmReleaseType is the type of the Secrets in which Helm keeps releases.
const helmReleaseType = "helm.sh/release.v1"

// CacheOptions keep the caches of the sidecar small: of StatefulSets and pods
// only those of a DataPowerService, which carry a label that users cannot
// override, without their pod templates and specs; of Secrets and ConfigMaps
// only the identity, and no Helm release at all.
func CacheOptions() (map[client.Object]cache.ByObject, error) {
	ofService, err := labels.NewRequirement(datapower.ServiceLabel, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("selecting the objects of services: %w", err)
	}
	selected := labels.NewSelector().Add(*ofService)
	return map[client.Object]cache.ByObject{
		&v1beta3.DataPowerService{}: {Transform: cache.TransformStripManagedFields()},
		&appsv1.StatefulSet{}:       {Label: selected, Transform: slimStatefulSet},
		&corev1.Pod{}:               {Label: selected, Transform: slimPod},
		&corev1.Secret{}: {
			Field:     fields.OneTermNotEqualSelector("type", helmReleaseType),
			Transform: identityOnly,
		},
		&corev1.ConfigMap{}: {Transform: identityOnly},
	}, nil
}

func slimStatefulSet(object any) (any, error) {
	if set, ok := object.(*appsv1.StatefulSet); ok {
		set.ManagedFields, set.Annotations = nil, nil
		set.Spec.Template = corev1.PodTemplateSpec{}
		set.Spec.VolumeClaimTemplates = nil
	}
	return object, nil
}

func slimPod(object any) (any, error) {
	if pod, ok := object.(*corev1.Pod); ok {
		pod.ManagedFields, pod.Annotations = nil, nil
		pod.Spec = corev1.PodSpec{}
	}
	return object, nil
}

// identityOnly leaves name, namespace, UID and resourceVersion.
func identityOnly(object any) (any, error) {
	if metadata, ok := object.(*metav1.PartialObjectMetadata); ok {
		metadata.ObjectMeta = metav1.ObjectMeta{
			Name: metadata.Name, Namespace: metadata.Namespace,
			UID: metadata.UID, ResourceVersion: metadata.ResourceVersion,
		}
	}
	return object, nil
}
