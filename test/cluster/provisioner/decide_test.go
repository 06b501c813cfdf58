package provisioner

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// claim is an unbound claim of class standard that the volume binder has handed to this provisioner.
func claim(changes ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "data-web-0", UID: "1234", ResourceVersion: "77",
			Annotations: map[string]string{"volume.kubernetes.io/storage-provisioner": "cluster.datapower.test/simulated"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("standard"),
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			VolumeMode:       ptr.To(corev1.PersistentVolumeBlock),
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("3Gi")},
			},
		},
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

func class(changes ...func(*storagev1.StorageClass)) *storagev1.StorageClass {
	c := &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: "standard"},
		Provisioner: "cluster.datapower.test/simulated",
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

func late(c *storagev1.StorageClass) {
	c.VolumeBindingMode = ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)
}

func TestAClaimGetsAVolume(t *testing.T) {
	for name, test := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		class *storagev1.StorageClass
		want  bool
	}{
		"when it was handed over": {claim(), class(), true},
		"when it was handed over and its class binds at once": {claim(), class(func(c *storagev1.StorageClass) {
			c.VolumeBindingMode = ptr.To(storagev1.VolumeBindingImmediate)
		}), true},
		"when the node of its first consumer is known": {claim(func(c *corev1.PersistentVolumeClaim) {
			c.Annotations["volume.kubernetes.io/selected-node"] = "node-1"
		}), class(late), true},
		"not while its class waits for the first consumer": {claim(), class(late), false},
		"not when it was not handed over":                  {claim(func(c *corev1.PersistentVolumeClaim) { c.Annotations = nil }), class(), false},
		"not when it was handed to another provisioner": {claim(func(c *corev1.PersistentVolumeClaim) {
			c.Annotations["volume.kubernetes.io/storage-provisioner"] = "example.com/other"
		}), class(), false},
		"not when its class is another provisioner's": {claim(), class(func(c *storagev1.StorageClass) {
			c.Provisioner = "example.com/other"
		}), false},
		"not when it is bound": {claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }), class(), false},
		"not when it is being deleted": {claim(func(c *corev1.PersistentVolumeClaim) {
			c.DeletionTimestamp = &metav1.Time{}
		}), class(), false},
		"not when it has no class": {claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil }), class(), false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, wantsVolume(test.claim, test.class))
		})
	}
}

func TestTheVolumeFitsTheClaimAndIsReservedForIt(t *testing.T) {
	volume := newVolume(claim(), class(func(c *storagev1.StorageClass) {
		c.ReclaimPolicy = ptr.To(corev1.PersistentVolumeReclaimRetain)
		c.MountOptions = []string{"ro"}
	}), simulatedDir)
	assert.Equal(t, "pvc-1234", volume.Name)
	assert.Equal(t, "cluster.datapower.test/simulated", volume.Annotations["pv.kubernetes.io/provisioned-by"])
	assert.Equal(t, "3Gi", volume.Spec.Capacity.Storage().String())
	assert.Equal(t, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, volume.Spec.AccessModes)
	assert.Equal(t, corev1.PersistentVolumeBlock, *volume.Spec.VolumeMode)
	assert.Equal(t, "standard", volume.Spec.StorageClassName)
	assert.Equal(t, corev1.PersistentVolumeReclaimRetain, volume.Spec.PersistentVolumeReclaimPolicy)
	assert.Equal(t, []string{"ro"}, volume.Spec.MountOptions)
	assert.Equal(t, &corev1.ObjectReference{
		APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "data-web-0", UID: "1234", ResourceVersion: "77",
	}, volume.Spec.ClaimRef)
}

func TestAClassWithoutReclaimPolicyDeletes(t *testing.T) {
	assert.Equal(t, corev1.PersistentVolumeReclaimDelete, newVolume(claim(), class(), simulatedDir).Spec.PersistentVolumeReclaimPolicy)
}

func TestAVolumeIsGarbage(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.PersistentVolume)
		want   bool
	}{
		"when it was released":           {func(*corev1.PersistentVolume) {}, true},
		"not while it is bound":          {func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeBound }, false},
		"not when it is to be kept":      {func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = "Retain" }, false},
		"not when another one made it":   {func(v *corev1.PersistentVolume) { v.Annotations = nil }, false},
		"not when it is deleted already": {func(v *corev1.PersistentVolume) { v.DeletionTimestamp = &metav1.Time{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			volume := newVolume(claim(), class(), simulatedDir)
			volume.Status.Phase = corev1.VolumeReleased
			test.change(volume)
			assert.Equal(t, test.want, isGarbage(volume))
		})
	}
}
