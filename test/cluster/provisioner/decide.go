package provisioner

import (
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Annotations of the protocol between kube-controller-manager's volume binder, the scheduler and an external provisioner, see
// https://github.com/kubernetes/design-proposals-archive/blob/main/storage/container-storage-interface.md and
// https://kubernetes.io/docs/reference/labels-annotations-taints/.
const (
	annotationStorageProvisioner = "volume.kubernetes.io/storage-provisioner"
	annotationSelectedNode       = "volume.kubernetes.io/selected-node"
	annotationProvisionedBy      = "pv.kubernetes.io/provisioned-by"
)

// isHandedOver reports whether the volume binder waits for a volume of this provisioner for the claim.
func isHandedOver(claim *corev1.PersistentVolumeClaim) bool {
	return claim.DeletionTimestamp == nil && claim.Spec.VolumeName == "" && claim.Spec.StorageClassName != nil &&
		claim.Annotations[annotationStorageProvisioner] == Name
}

// wantsVolume reports whether a volume is to be made now for the claim, which is of the given class: a class that binds only with the
// first consumer waits until the scheduler has chosen the consumer's node.
func wantsVolume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) bool {
	if !isHandedOver(claim) || class.Provisioner != Name {
		return false
	}
	delayed := class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
	return !delayed || claim.Annotations[annotationSelectedNode] != ""
}

// newVolume is the volume for the claim. It has the size that the claim asks for. Its name is derived from the claim's UID, so that a
// second attempt makes no second volume. Its files are in a directory of its name below dir.
func newVolume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, dir string) *corev1.PersistentVolume {
	name := volumeName(claim)
	reclaim := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		reclaim = *class.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{annotationProvisionedBy: Name}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			MountOptions:                  class.MountOptions,
			StorageClassName:              class.Name,
			PersistentVolumeReclaimPolicy: reclaim,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: filepath.Join(dir, name)},
			},
		},
	}
}

func volumeName(claim *corev1.PersistentVolumeClaim) string { return "pvc-" + string(claim.UID) }

// isGarbage reports whether the volume is one of this provisioner's that nobody needs any more: its claim is gone (the volume binder
// has marked it Released) and it is to be deleted then.
func isGarbage(volume *corev1.PersistentVolume) bool {
	return volume.DeletionTimestamp == nil &&
		volume.Annotations[annotationProvisionedBy] == Name &&
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete &&
		volume.Status.Phase == corev1.VolumeReleased
}
