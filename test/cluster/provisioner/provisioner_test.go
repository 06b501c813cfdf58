package provisioner

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provision runs the provisioner for the time of the test.
func provision(t *testing.T, client *fake.Clientset) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, client, "")
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, 10*time.Millisecond)
}

func volumes(t *testing.T, client *fake.Clientset) []corev1.PersistentVolume {
	t.Helper()
	list, err := client.CoreV1().PersistentVolumes().List(context.Background(), metav1.ListOptions{})
	require.NoError(t, err)
	return list.Items
}

func TestAClaimThatWasThereBeforeGetsAVolume(t *testing.T) {
	client := fake.NewClientset(class(), claim())
	provision(t, client)
	eventually(t, func() bool { return len(volumes(t, client)) == 1 })
	assert.Equal(t, "data-web-0", volumes(t, client)[0].Spec.ClaimRef.Name)
}

func TestAClaimThatIsHandedOverLaterGetsAVolume(t *testing.T) {
	client := fake.NewClientset(class())
	provision(t, client)
	waiting := claim(func(c *corev1.PersistentVolumeClaim) { c.Annotations = nil })
	claims := client.CoreV1().PersistentVolumeClaims("shop")
	_, err := claims.Create(context.Background(), waiting, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = claims.Update(context.Background(), claim(), metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually(t, func() bool { return len(volumes(t, client)) == 1 })
}

func TestAReleasedVolumeIsDeletedAndABoundOneIsNot(t *testing.T) {
	released, bound := newVolume(claim(), class(), simulatedDir), newVolume(claim(), class(), simulatedDir)
	released.Status.Phase = corev1.VolumeReleased
	bound.Name, bound.Status.Phase = "bound", corev1.VolumeBound
	client := fake.NewClientset(class(), released, bound)
	provision(t, client)
	eventually(t, func() bool { return len(volumes(t, client)) == 1 })
	assert.Equal(t, "bound", volumes(t, client)[0].Name)
}

func TestAFailedCallIsRepeated(t *testing.T) {
	client := fake.NewClientset(class(), claim())
	var calls atomic.Int32
	client.PrependReactor("create", "persistentvolumes", func(clienttesting.Action) (bool, runtime.Object, error) {
		return calls.Add(1) < 3, nil, errors.New("no luck")
	})
	provision(t, client)
	eventually(t, func() bool { return len(volumes(t, client)) == 1 })
	assert.Equal(t, int32(3), calls.Load())
}

func TestAnExistingVolumeIsNoError(t *testing.T) {
	client := fake.NewClientset(class(), claim(), newVolume(claim(), class(), simulatedDir))
	var creations atomic.Int32
	client.PrependReactor("create", "persistentvolumes", func(clienttesting.Action) (bool, runtime.Object, error) {
		creations.Add(1)
		return false, nil, nil
	})
	second := claim(func(c *corev1.PersistentVolumeClaim) { c.Name, c.UID = "data-web-1", "5678" })
	provision(t, client)
	eventually(t, func() bool { return creations.Load() > 0 })
	_, err := client.CoreV1().PersistentVolumeClaims("shop").Create(context.Background(), second, metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, func() bool { return len(volumes(t, client)) == 2 })
	assert.Equal(t, int32(2), creations.Load(), "one creation for each claim, none repeated")
}
