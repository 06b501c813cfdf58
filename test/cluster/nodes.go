package cluster

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/test/cluster/provisioner"
)

const (
	// DefaultNodes is how many simulated nodes `cluster up` makes.
	DefaultNodes = 3
	// MaxNodes is how many simulated nodes a cluster can have: each has one /24 of 10.244.0.0/16 for its pods.
	MaxNodes = 250
	// DefaultStorageClass is the StorageClass that claims without one get.
	DefaultStorageClass = "standard"

	// nodeAnnotation marks the nodes that kwok simulates (https://kwok.sigs.k8s.io/docs/user/kwok-manage-nodes-and-pods/).
	nodeAnnotation      = "kwok.x-k8s.io/node"
	nodeAnnotationValue = "fake"

	kwokConfigFile  = "kwok.yaml"
	auditPolicyFile = "audit-policy.yaml"

	// closedPort is where the API server looks for a node's kubelet, on localhost, when somebody asks for logs: nothing listens on
	// this port (tcpmux), so the answer "connection refused" comes at once instead of a timeout.
	closedPort = 1

	// zones is how many zones the nodes are spread over.
	zones = 3
)

// auditPolicy records who asked for what, once per request and without bodies, so that no Secret gets into the log.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// stageFiles say how simulated nodes and pods behave (https://kwok.sigs.k8s.io/docs/user/stages-configuration/).
//
//go:embed stages/*.yaml
var stageFiles embed.FS

// kwokConfig joins the stages into one file of many YAML documents.
func kwokConfig() ([]byte, error) {
	names, err := fs.Glob(stageFiles, "stages/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the stages: %w", err)
	}
	documents := make([][]byte, 0, len(names))
	for _, name := range names {
		document, err := stageFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read stage %s: %w", name, err)
		}
		documents = append(documents, document)
	}
	return bytes.Join(documents, []byte("---\n")), nil
}

// newNode is simulated node number i, counted from 1, of a cluster of the given Kubernetes version. It has no taints of its own; the
// API server adds node.kubernetes.io/not-ready, which goes as soon as the node is Ready.
func newNode(i int, version string) *corev1.Node {
	name := fmt.Sprintf("node-%d", i)
	resources := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("64"),
		corev1.ResourceMemory:           resource.MustParse("512Gi"),
		corev1.ResourcePods:             resource.MustParse("250"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
	}
	podCIDR := fmt.Sprintf("10.244.%d.0/24", i)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{nodeAnnotation: nodeAnnotationValue},
			Labels: map[string]string{
				corev1.LabelArchStable:           "amd64",
				corev1.LabelOSStable:             "linux",
				"beta.kubernetes.io/arch":        "amd64", // published resources and old affinities use it
				"beta.kubernetes.io/os":          "linux",
				corev1.LabelHostname:             name,
				corev1.LabelTopologyRegion:       "local",
				corev1.LabelTopologyZone:         "local-" + string(rune('a'+(i-1)%zones)),
				"node-role.kubernetes.io/worker": "",
			},
		},
		Spec: corev1.NodeSpec{PodCIDR: podCIDR, PodCIDRs: []string{podCIDR}},
		Status: corev1.NodeStatus{
			Capacity: resources, Allocatable: resources,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("192.0.2.%d", i+1)},
				{Type: corev1.NodeHostName, Address: name},
				{Type: corev1.NodeInternalDNS, Address: "localhost"},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: closedPort}},
			NodeInfo: corev1.NodeSystemInfo{
				Architecture: "amd64", OperatingSystem: "linux", KubeletVersion: version,
				OSImage: "simulated by kwok", KernelVersion: "none", ContainerRuntimeVersion: "kwok://none",
			},
		},
	}
}

// storageClasses are the default and the names that published DataPowerServices use, which belong to clouds and storage
// products, so that such resources work here as they are.
var storageClasses = []string{
	DefaultStorageClass,
	"ibmc-file-bronze-gid", "ibmc-file-gold-gid", "ibmc-block-gold", "ocs-storagecluster-cephfs", "ocs-storagecluster-ceph-rbd",
	"rook-cephfs", "rook-ceph-block", "gp2", "gp3-csi", "managed-premium", "nfs-client",
}

// newStorageClass is a StorageClass of simulated volumes.
func newStorageClass(name string) *storagev1.StorageClass {
	reclaim, binding := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingImmediate
	class := &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: name},
		Provisioner: provisioner.Name, ReclaimPolicy: &reclaim, VolumeBindingMode: &binding,
	}
	if name == DefaultStorageClass {
		class.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}
	}
	return class
}

// unreadyNode says why pods cannot be scheduled to the node yet; it returns "" when they can.
func unreadyNode(node *corev1.Node) string {
	for _, condition := range node.Status.Conditions {
		if condition.Type != corev1.NodeReady || condition.Status != corev1.ConditionTrue {
			continue
		}
		if len(node.Spec.Taints) == 0 {
			return ""
		}
		keys := make([]string, 0, len(node.Spec.Taints))
		for _, taint := range node.Spec.Taints {
			keys = append(keys, taint.Key)
		}
		return fmt.Sprintf("node %s has taints: %s", node.Name, strings.Join(keys, ", "))
	}
	return fmt.Sprintf("node %s is not Ready", node.Name)
}
