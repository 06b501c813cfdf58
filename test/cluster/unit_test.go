package cluster

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

var testPorts = listenPorts{etcdClient: 1001, etcdPeer: 1002, api: 1003, controllerManager: 1004, scheduler: 1005}

func TestTheKubeconfigIsCompleteInItself(t *testing.T) {
	l := layout{dir: t.TempDir()}
	for _, dir := range l.directories() {
		require.NoError(t, os.MkdirAll(dir, 0o700))
	}
	creds, err := newCredentials(l, time.Now())
	require.NoError(t, err)
	data, err := creds.kubeconfig("https://127.0.0.1:1003", "admin", []string{groupMasters}, time.Now())
	require.NoError(t, err)
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	require.NoError(t, err)
	assert.Equal(t, "https://127.0.0.1:1003", config.Host)
	assert.Equal(t, creds.cluster.Cert, config.CAData)
	assert.NotEmpty(t, config.CertData)
	assert.NotEmpty(t, config.KeyData)
	assert.Empty(t, config.CAFile+config.CertFile+config.KeyFile, "no references to files")
	assert.False(t, config.Insecure)
}

func TestAllFilesOfTheClusterAreForTheOwnerOnly(t *testing.T) {
	c, err := newCluster(Options{BinDir: "/nonexistent", Nodes: 3})
	require.NoError(t, err)
	files := 0
	for _, dir := range c.layout.directories() {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, entry := range entries {
			info, err := entry.Info()
			require.NoError(t, err)
			assert.Zero(t, info.Mode().Perm()&0o077, entry.Name())
			files++
		}
	}
	assert.Greater(t, files, 20, "certificates, keys and kubeconfigs are there")
	require.NoError(t, c.Stop())
	assert.NoDirExists(t, c.Dir(), "a temporary directory is removed")
}

func TestEveryListenerIsOnLoopbackAndSharesItsReservedPort(t *testing.T) {
	l := layout{dir: "/d"}
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"etcd": {etcdArgs(l, testPorts), []string{
			"--listen-client-urls=https://127.0.0.1:1001", "--listen-peer-urls=https://127.0.0.1:1002", "--socket-reuse-port", "--client-cert-auth",
		}},
		"kube-apiserver": {apiServerArgs(l, testPorts, Options{}), []string{
			"--bind-address=127.0.0.1", "--secure-port=1003", "--permit-port-sharing=true", "--etcd-servers=https://127.0.0.1:1001",
			"--authorization-mode=Node,RBAC", "--allow-privileged=true",
		}},
		"kube-controller-manager": {controllerManagerArgs(l, testPorts, Options{}), []string{
			"--bind-address=127.0.0.1", "--secure-port=1004", "--permit-port-sharing=true",
		}},
		"kube-scheduler": {schedulerArgs(l, testPorts), []string{
			"--bind-address=127.0.0.1", "--secure-port=1005", "--permit-port-sharing=true",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, want := range test.want {
				assert.Contains(t, test.args, want)
			}
		})
	}
}

func TestOptionsBecomeFlags(t *testing.T) {
	l := layout{dir: "/d"}
	plain := strings.Join(apiServerArgs(l, testPorts, Options{}), " ")
	for _, unwanted := range []string{"admission-plugins", "--audit"} {
		assert.NotContains(t, plain, unwanted)
	}
	args := apiServerArgs(l, testPorts, Options{
		EnableAdmission: []string{"NodeRestriction", "AlwaysPullImages"}, DisableAdmission: []string{"TaintNodesByCondition"},
		AuditLog: true, APIServerArgs: []string{"--v=7"},
	})
	assert.Contains(t, args, "--enable-admission-plugins=NodeRestriction,AlwaysPullImages")
	assert.Contains(t, args, "--disable-admission-plugins=TaintNodesByCondition")
	assert.Contains(t, args, "--audit-log-path=/d/run/audit.log")
	assert.Equal(t, "--v=7", args[len(args)-1], "the caller's flags come last, so they win")
	args = controllerManagerArgs(l, testPorts, Options{ControllerManagerArgs: []string{"--controllers=-ttl"}})
	assert.Equal(t, "--controllers=-ttl", args[len(args)-1])
}

func TestComponentsSeeNoProxyAndNoSettingsOfTheUser(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
	t.Setenv("HOME", "/home/user")
	spec := componentSpec(layout{dir: "/d"}, "/bin", kwok, nil)
	for _, variable := range spec.Env {
		assert.NotContains(t, variable, "proxy.invalid")
		assert.NotContains(t, variable, "/home/user")
	}
	assert.Contains(t, spec.Env, "HOME=/d/run")
}

func TestSimulatedNodesLookLikeOrdinaryOnes(t *testing.T) {
	node := newNode(2, "v1.36.3")
	assert.Equal(t, "node-2", node.Name)
	for label, want := range map[string]string{
		"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64",
		"kubernetes.io/hostname": "node-2", "topology.kubernetes.io/zone": "local-b",
	} {
		assert.Equal(t, want, node.Labels[label], label)
	}
	assert.Empty(t, node.Spec.Taints)
	assert.Equal(t, "10.244.2.0/24", node.Spec.PodCIDR)
	assert.Equal(t, "64", node.Status.Allocatable.Cpu().String())
	assert.Equal(t, "512Gi", node.Status.Allocatable.Memory().String())
	assert.Equal(t, "250", node.Status.Allocatable.Pods().String())
	assert.Equal(t, "v1.36.3", node.Status.NodeInfo.KubeletVersion)
	assert.Equal(t, "local-a", newNode(4, "").Labels["topology.kubernetes.io/zone"], "three zones, then the first again")
	last := newNode(MaxNodes, "")
	assert.Equal(t, "10.244.250.0/24", last.Spec.PodCIDR)
	assert.Equal(t, "192.0.2.251", last.Status.Addresses[0].Address)
}

func TestStagesAreReadableOneByOne(t *testing.T) {
	config, err := kwokConfig()
	require.NoError(t, err)
	var names []string
	for document := range strings.SplitSeq(string(config), "\n---\n") {
		var stage struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &stage), document)
		assert.Equal(t, "kwok.x-k8s.io/v1alpha1", stage.APIVersion)
		assert.Equal(t, "Stage", stage.Kind)
		names = append(names, stage.Metadata.Name)
	}
	assert.ElementsMatch(t, []string{"node-ready", "node-heartbeat", "pod-ready", "pod-complete", "pod-delete"}, names)
}

func TestANodeTakesPods(t *testing.T) {
	ready := []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	for name, test := range map[string]struct {
		conditions []corev1.NodeCondition
		taints     []corev1.Taint
		want       string
	}{
		"when it is Ready without taints":   {ready, nil, ""},
		"not before it has reported":        {nil, nil, "node node-1 is not Ready"},
		"not while it is not Ready":         {[]corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse}}, nil, "node node-1 is not Ready"},
		"not while only its disks are fine": {[]corev1.NodeCondition{{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}}, nil, "node node-1 is not Ready"},
		"not while it has taints": {ready, []corev1.Taint{{Key: "node.kubernetes.io/not-ready"}, {Key: "other"}},
			"node node-1 has taints: node.kubernetes.io/not-ready, other"},
	} {
		t.Run(name, func(t *testing.T) {
			node := newNode(1, "")
			node.Status.Conditions, node.Spec.Taints = test.conditions, test.taints
			assert.Equal(t, test.want, unreadyNode(node))
		})
	}
}

func TestTheAnswerOfReadyzIsShortenedToWhatFailed(t *testing.T) {
	assert.Equal(t, "[-]poststarthook/rbac/bootstrap-roles failed: reason withheld; [-]etcd failed",
		failedChecks("[+]ping ok\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n[+]log ok\n[-]etcd failed\nreadyz check failed\n"))
	assert.Equal(t, "forbidden", failedChecks("forbidden\n"))
}
