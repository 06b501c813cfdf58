// Package node runs one real Kubernetes node on this machine: containerd, kubelet, kube-proxy and CoreDNS in namespaces of their own
// (network, mounts, processes, host name, IPC, cgroups), so that nothing of the machine is changed and everything ends with the
// process that Run was called in. It needs root, Linux with cgroup v1 controllers, and the programs containerd, ctr, runc, ip,
// iptables and the CNI plug-ins (Debian: containerd, runc, iproute2, iptables, containernetworking-plugins).
//
// The control plane stays outside. Two sockets in the node's directory join the worlds: the node's processes and pods reach the API
// server at AdvertiseAddress through api.sock, and the API server reaches kubelets, Services and pods through egress.sock, as its
// egress selector asks for (https://kubernetes.io/docs/tasks/extend-kubernetes/setup-konnectivity/).
//
//	machine:  kube-apiserver ── egress.sock ──┐   ┌── api.sock ── relay ── kube-apiserver
//	node:                             CONNECT proxy   relay on AdvertiseAddress
package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// Name is the node's name.
	Name = "node-1"
	// Address is the node's address in its own network.
	Address = "10.200.0.1"
	// PodCIDR is where pods get their addresses from.
	PodCIDR = "10.244.1.0/24"
	// DNSAddress is the ClusterIP that pods ask for names; it must be the Service of CoreDNS, which listens on Address.
	DNSAddress = "10.96.0.10"
	// Domain is the cluster's DNS domain.
	Domain = "cluster.local"
	// KubeletPort is where the API server reaches the kubelet.
	KubeletPort = 10250

	// Command is the hidden sub-command that makes a program the node: it must call Run.
	Command = "node"
	// initCommand is the hidden sub-command that makes it the first process of the namespaces.
	initCommand = "node-init"

	pluginDir = "/usr/lib/cni"
	// longestSocket is how long the path of a socket may be (unix(7): 108 bytes with the closing zero).
	longestSocket = 107
)

// needed are the programs that are not built by this repository.
var needed = []string{"containerd", "containerd-shim-runc-v2", "ctr", "runc", "ip", "iptables"}

// ErrMachine says that this machine, or this user, can't run a real node.
var ErrMachine = errors.New("a real node can't run here")

// Settings say what the node finds and where. All paths are absolute.
type Settings struct {
	// Dir is the node's directory: sockets, logs, images and the containers' files.
	Dir string `json:"dir"`
	// BinDir holds kubelet, kube-proxy, coredns and pause.
	BinDir string `json:"binDir"`
	// APIServer is the API server's address on this machine ("127.0.0.1:35177").
	APIServer string `json:"apiServer"`
	// AdvertiseAddress is where the Service "kubernetes" points to; the node listens there, on the API server's port.
	AdvertiseAddress string `json:"advertiseAddress"`
	// ClientCA, ServingCert and ServingKey are files: who may call the kubelet, and what it shows.
	ClientCA, ServingCert, ServingKey string
	// Kubeconfigs are the files of the users that kubelet, kube-proxy and coredns act as, by program.
	Kubeconfigs map[string]string `json:"kubeconfigs"`
	// Images are archives (OCI layout or docker save, as tar) that are there before the first pod.
	Images []string `json:"images,omitempty"`
}

// Arguments are the command line by which a program that knows Command runs the node.
func (s Settings) Arguments() ([]string, error) {
	encoded, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the node's settings: %w", err)
	}
	return []string{Command, string(encoded)}, nil
}

// Handles reports whether the arguments of a program are a call of Run.
func Handles(arguments []string) bool {
	return len(arguments) == 2 && (arguments[0] == Command || arguments[0] == initCommand)
}

// Run is the node: it returns when the node has ended, or never. Only a program that was started with Settings.Arguments, or by
// itself, calls it.
func Run(arguments []string) error {
	var s Settings
	if !Handles(arguments) {
		return fmt.Errorf("%s is started by `cluster up` only", Command)
	}
	if err := json.Unmarshal([]byte(arguments[1]), &s); err != nil {
		return fmt.Errorf("read the node's settings: %w", err)
	}
	if arguments[0] == initCommand {
		return s.initialise()
	}
	return s.run(arguments[1])
}

// Check says whether this machine can run a real node, and what is missing.
func Check(dir string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root", ErrMachine)
	}
	var missing []string
	for _, program := range needed {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if _, err := os.Stat(filepath.Join(pluginDir, "bridge")); err != nil {
		missing = append(missing, filepath.Join(pluginDir, "bridge"))
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: not installed: %s (Debian: containerd runc iproute2 iptables containernetworking-plugins)", ErrMachine,
			strings.Join(missing, ", "))
	}
	if _, err := cgroupsOf("/proc/self/cgroup"); err != nil {
		return fmt.Errorf("%w: %w", ErrMachine, err)
	}
	s := Settings{Dir: dir}
	for _, socket := range []string{s.ContainerdSocket(), s.EgressSocket(), s.apiSocket()} {
		if len(socket) > longestSocket {
			return fmt.Errorf("%w: the path of the socket %s is longer than %d bytes: choose a shorter directory", ErrMachine, socket, longestSocket)
		}
	}
	return nil
}

// EgressSocket is where the API server asks to be connected to addresses of the node's network (HTTP CONNECT).
func (s Settings) EgressSocket() string { return filepath.Join(s.Dir, "egress.sock") }

// ContainerdSocket is where containerd answers, also from outside the namespaces.
func (s Settings) ContainerdSocket() string { return filepath.Join(s.Dir, "containerd.sock") }

func (s Settings) apiSocket() string { return filepath.Join(s.Dir, "api.sock") }

func (s Settings) path(elements ...string) string {
	return filepath.Join(append([]string{s.Dir}, elements...)...)
}

func (s Settings) log(program string) string { return s.path("logs", program+".log") }
