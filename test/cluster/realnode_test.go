package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
	"github.com/datapower-operator/datapower-operator/test/cluster/node"
)

// startRealNode starts a cluster with a real node in a short directory (sockets have short paths); this test binary is the node.
func startRealNode(t *testing.T) *cluster.Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "node-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	if err := node.Check(cluster.NodeIn(dir)); err != nil {
		t.Skip(err)
	}
	programs, err := binaries.Find(binaries.RealNode()...)
	if errors.Is(err, binaries.ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	return clustertest.Start(t, cluster.Options{Dir: dir, BinDir: programs, RealNode: &cluster.RealNode{Program: self}})
}

// TestARealNodeRunsPods: the pod's only container does nothing, but it has an address, a volume with files, and the API server reaches
// the kubelet for its log.
func TestARealNodeRunsPods(t *testing.T) {
	c := startRealNode(t)
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	require.NoError(t, err)
	ctx := context.Background()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
	_, err = client.CoreV1().PersistentVolumeClaims("default").Create(ctx, claim, metav1.CreateOptions{})
	require.NoError(t, err)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "idle"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Name: "idle", Image: "localhost/pause:1", ImagePullPolicy: corev1.PullNever,
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
			}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
			}}},
		},
	}
	_, err = client.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{})
	require.NoError(t, err)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		found, err := client.CoreV1().Pods("default").Get(ctx, "idle", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, corev1.PodRunning, found.Status.Phase, "%v", found.Status)
		assert.Contains(t, found.Status.PodIP, "10.244.1.")
		assert.Equal(t, node.Name, found.Spec.NodeName)
	}, eventually, tick)
	_, err = client.CoreV1().Pods("default").GetLogs("idle", &corev1.PodLogOptions{}).DoRaw(ctx)
	require.NoError(t, err)
	bound, err := client.CoreV1().PersistentVolumeClaims("default").Get(ctx, "data", metav1.GetOptions{})
	require.NoError(t, err)
	assert.DirExists(t, filepath.Join(c.Dir(), "run", "volumes", bound.Spec.VolumeName))

	id, err := node.Process(cluster.NodeIn(c.Dir()))
	require.NoError(t, err)
	require.NoError(t, c.Stop())
	assert.NoDirExists(t, fmt.Sprintf("/proc/%d", id), "the first process of the node's namespaces")
	assert.Empty(t, clustertest.Processes(t, c.Dir()), "kubelet, containerd and the others name their directory")
	roots, err := os.ReadFile(filepath.Join(cluster.NodeIn(c.Dir()), "cgroups"))
	require.NoError(t, err)
	require.NotEmpty(t, roots)
	for root := range strings.SplitSeq(string(roots), "\n") {
		assert.NoDirExists(t, root)
	}
}
