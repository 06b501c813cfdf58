package cluster_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
	"github.com/datapower-operator/datapower-operator/test/cluster/provisioner"
)

const (
	// eventually is how long a test waits for what must happen; tick is how often it looks.
	eventually = time.Minute
	tick       = 20 * time.Millisecond

	// helperEnv makes this test binary start a cluster in the named directory and wait to be killed.
	helperEnv = "CLUSTER_TEST_HELPER_DIR"
)

func helper(dir string) int {
	c, err := cluster.Start(context.Background(), cluster.Options{Dir: dir, Nodes: 1})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("started")
	<-c.Failed()
	return 1
}

func client(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	k, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return k
}

// web is a headless Service and a StatefulSet of three pods with a volume each.
func web() (*corev1.Service, *appsv1.StatefulSet) {
	labels := map[string]string{"app": "web"}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web-headless"},
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, Selector: labels, Ports: []corev1.ServicePort{{Name: "http", Port: 80}},
		},
	}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](3), ServiceName: service.Name, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					InitContainers: []corev1.Container{{Name: "init", Image: "nowhere.invalid/init:1"}},
					Containers: []corev1.Container{{
						Name: "web", Image: "nowhere.invalid/web:1", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
					}},
				},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{claim("data")},
		},
	}
	return service, set
}

func claim(name string) corev1.PersistentVolumeClaim {
	return corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
}

func TestAStatefulSetWithVolumesBecomesReady(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, cluster.Options{Nodes: 3})
	k, ctx := client(t, c.RESTConfig()), context.Background()
	service, set := web()
	_, err := k.CoreV1().Services("default").Create(ctx, service, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = k.AppsV1().StatefulSets("default").Create(ctx, set, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		found, err := k.AppsV1().StatefulSets("default").Get(ctx, "web", metav1.GetOptions{})
		return err == nil && found.Status.ReadyReplicas == 3
	}, eventually, tick)

	pods, err := k.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, pods.Items, 3)
	addresses := map[string]bool{}
	nodes := map[string]bool{}
	for _, pod := range pods.Items {
		assert.Regexp(t, `^10\.244\.[1-3]\.\d+$`, pod.Status.PodIP)
		assert.True(t, pod.Status.ContainerStatuses[0].Ready)
		assert.NotNil(t, pod.Status.InitContainerStatuses[0].State.Terminated)
		addresses[pod.Status.PodIP], nodes[pod.Spec.NodeName] = true, true
	}
	assert.Len(t, addresses, 3, "each pod has its own address")
	assert.Len(t, nodes, 3, "the scheduler spreads them")
	require.Eventually(t, func() bool { return assert.ObjectsAreEqual(addresses, ready(t, k, "web-headless")) }, eventually, tick)

	failing := []byte(`{"status":{"conditions":[{"type":"Ready","status":"False","reason":"Test"}]}}`)
	_, err = k.CoreV1().Pods("default").Patch(ctx, "web-0", types.StrategicMergePatchType, failing, metav1.PatchOptions{}, "status")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(ready(t, k, "web-headless")) == 2 }, eventually, tick, "a test can make a pod fail")

	require.NoError(t, k.AppsV1().StatefulSets("default").Delete(ctx, "web", metav1.DeleteOptions{}))
	require.NoError(t, k.CoreV1().PersistentVolumeClaims("default").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	require.Eventually(t, func() bool {
		pods, podsErr := k.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		volumes, volumesErr := k.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		return podsErr == nil && volumesErr == nil && len(pods.Items)+len(volumes.Items) == 0
	}, eventually, tick, "pods end, and volumes go with their claims")
}

// ready is the set of addresses that the EndpointSlices of the Service list as ready.
func ready(t *testing.T, k *kubernetes.Clientset, service string) map[string]bool {
	t.Helper()
	slices, err := k.DiscoveryV1().EndpointSlices("default").List(context.Background(),
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	require.NoError(t, err)
	addresses := map[string]bool{}
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if ptr.Deref(endpoint.Conditions.Ready, false) {
				addresses[endpoint.Addresses[0]] = true
			}
		}
	}
	return addresses
}

func TestAVolumeThatWaitsForItsFirstPodIsBound(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, cluster.Options{Nodes: 1})
	k, ctx := client(t, c.RESTConfig()), context.Background()
	_, err := k.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "late"}, Provisioner: provisioner.Name,
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	waiting := claim("data")
	waiting.Spec.StorageClassName = ptr.To("late")
	_, err = k.CoreV1().PersistentVolumeClaims("default").Create(ctx, &waiting, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = k.CoreV1().Pods("default").Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "user"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "c", Image: "nowhere.invalid/c:1"}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
			}}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		pod, err := k.CoreV1().Pods("default").Get(ctx, "user", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning
	}, eventually, tick)
}

func TestUsersAreAuthorizedAndTheirRequestsAreCounted(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, cluster.Options{AuditLog: true})
	config, err := c.RESTConfigFor("alice", "readers")
	require.NoError(t, err)
	alice, admin, ctx := client(t, config), client(t, c.RESTConfig()), context.Background()
	_, err = alice.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	_, err = admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "readers"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "readers"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := alice.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
		return err == nil
	}, eventually, tick)

	log, err := os.ReadFile(c.AuditLogPath())
	require.NoError(t, err)
	codes := map[int32]int{}
	for line := range strings.Lines(string(log)) {
		var event struct {
			Verb           string
			User           struct{ Username string }
			ObjectRef      struct{ Resource string }
			ResponseStatus struct{ Code int32 }
			RequestObject  any
		}
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		assert.Nil(t, event.RequestObject)
		if event.User.Username == "alice" && event.Verb == "list" && event.ObjectRef.Resource == "secrets" {
			codes[event.ResponseStatus.Code]++
		}
	}
	assert.Equal(t, 1, codes[http.StatusOK], "one line per request")
	assert.Positive(t, codes[http.StatusForbidden])
}

func TestAWebhookOnLoopbackIsAsked(t *testing.T) {
	t.Parallel()
	webhook := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var review admissionv1.AdmissionReview
		if err != nil || json.Unmarshal(body, &review) != nil || review.Request == nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: "not today"}}
		_ = json.NewEncoder(w).Encode(review)
	}))
	webhook.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	webhook.StartTLS()
	t.Cleanup(webhook.Close)
	c := clustertest.Start(t, cluster.Options{})
	k, ctx := client(t, c.RESTConfig()), context.Background()
	_, err := k.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "test"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "test.example.com", SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      ptr.To(webhook.URL),
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: webhook.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "c-"}}
		_, err := k.CoreV1().ConfigMaps("default").Create(ctx, object, metav1.CreateOptions{})
		return err != nil && strings.Contains(err.Error(), "not today")
	}, eventually, tick)
}

func TestTheKubeconfigWorksBesideAProxy(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	c := clustertest.Start(t, cluster.Options{Nodes: 1})
	config, err := clientcmd.BuildConfigFromFlags("", c.KubeconfigPath())
	require.NoError(t, err)
	nodes, err := client(t, config).CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Len(t, nodes.Items, 1)
	info, err := os.Stat(c.KubeconfigPath())
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	data, err := c.KubeconfigFor("bob")
	require.NoError(t, err)
	config, err = clientcmd.RESTConfigFromKubeConfig(data)
	require.NoError(t, err)
	_, err = client(t, config).CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
}

func TestADeadComponentIsReportedAndTheRestCanBeStopped(t *testing.T) {
	t.Parallel()
	binDir := clustertest.NeedBinaries(t)
	dir := t.TempDir()
	c, err := cluster.Start(context.Background(), cluster.Options{BinDir: binDir, Dir: dir, Nodes: 1})
	require.NoError(t, err)
	components := c.Components()
	names := make([]string, 0, len(components))
	for _, component := range components {
		names = append(names, component.Name)
	}
	assert.Equal(t, []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}, names)
	assert.NoError(t, c.Err())
	require.NoError(t, components[3].Process.Signal(9))
	<-c.Failed()
	require.ErrorContains(t, c.Err(), "kube-scheduler ended: signal: killed")
	require.NoError(t, c.Stop())
	require.NoError(t, c.Stop())
	assert.Empty(t, clustertest.Processes(t, dir))
	assert.NoFileExists(t, c.KubeconfigPath())
}

func TestNothingSurvivesTheKillOfTheProgramThatStartedIt(t *testing.T) {
	t.Parallel()
	clustertest.NeedBinaries(t)
	dir := t.TempDir()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), helperEnv+"="+dir)
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started\n", line)
	assert.Len(t, clustertest.Processes(t, dir), 5)
	require.NoError(t, command.Process.Kill())
	require.Error(t, command.Wait())
	require.Eventually(t, func() bool { return len(clustertest.Processes(t, dir)) == 0 }, eventually, tick)
}
