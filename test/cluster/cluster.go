// Package cluster runs a real Kubernetes control plane on this machine, without root and without containers: etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler as child processes, nodes simulated by kwok, and persistent volumes that exist only in
// the API. Nothing of it survives the program that called Start, however that program ends. It works on Linux only.
//
// Pods of simulated nodes become Ready without running anything. Their addresses (10.244.0.0/16) exist only in the API. For pods that
// run, root can have a real node (Options.RealNode, package node).
package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/datapower-operator/datapower-operator/test/cluster/node"
	"github.com/datapower-operator/datapower-operator/test/cluster/ports"
	"github.com/datapower-operator/datapower-operator/test/cluster/process"
)

const (
	// stopGrace is how long each group of components gets to end after SIGTERM. Nothing they keep is needed afterwards.
	stopGrace = 5 * time.Second
	// tailLines is how many log lines an error about a component shows.
	tailLines = 15
)

// Options say what Start makes. The zero value is a control plane without nodes in a temporary directory.
type Options struct {
	// Dir is the directory for the cluster's files; Start makes it when it is missing, and removes the cluster's files that an
	// earlier cluster left in it. Empty means a temporary directory, which Stop removes.
	Dir string
	// BinDir holds the programs etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok. Empty means what
	// binaries.Find finds.
	BinDir string
	// Nodes is the number of simulated nodes (0 to MaxNodes), named node-1, node-2 and so on. With 0, kwok is not started and pods
	// stay Pending.
	Nodes int
	// RealNode asks for a real node, named node.Name; nil means none.
	RealNode *RealNode
	// EnableAdmission and DisableAdmission name admission plugins to switch on or off beside the API server's defaults.
	EnableAdmission, DisableAdmission []string
	// AuditLog makes the API server write one line per request to AuditLogPath (level Metadata).
	AuditLog bool
	// APIServerArgs and ControllerManagerArgs are appended to the programs' flags, so they win over what is set here.
	APIServerArgs, ControllerManagerArgs []string
	// Progress gets one line of text per step of the start; nil drops them. It is called from the goroutine that calls Start.
	Progress func(line string)
}

// RealNode says what a real node needs beside the programs of binaries.RealNode.
type RealNode struct {
	// Program is the path of a program that passes its arguments to node.Run when node.Handles says so.
	Program string
	// Images are archives that the node has before the first pod runs.
	Images []string
}

// Cluster is a running cluster. Its methods may be called from many goroutines.
type Cluster struct {
	options  Options
	layout   layout
	tempDir  bool
	launcher *process.Launcher
	ports    listenPorts
	held     []*ports.Reservation
	creds    *credentials
	config   *rest.Config
	version  string

	mutex     sync.Mutex
	processes []*process.Process // in the order of their start
	stopping  bool
	failure   error

	failed          chan struct{} // closed when failure is set
	watchers        sync.WaitGroup
	stopProvisioner func()
	stop            sync.Once
	stopErr         error
}

// Component is one process of the cluster.
type Component struct {
	// Name is the program's name, for example "kube-apiserver".
	Name string `json:"name"`
	// Process identifies it.
	Process process.Identity `json:"process"`
	// Log is the file with what it prints.
	Log string `json:"log"`
}

// RESTConfig returns a new configuration for a client that may do everything (user "admin", group system:masters).
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.config) }

// RESTConfigFor returns a configuration for a client that acts as the given user and groups. RBAC decides what it may do.
func (c *Cluster) RESTConfigFor(user string, groups ...string) (*rest.Config, error) {
	return c.creds.restConfig(c.config.Host, user, groups, time.Now())
}

// KubeconfigPath is the administrator's kubeconfig (mode 0600, absolute server address, certificates embedded).
func (c *Cluster) KubeconfigPath() string { return c.layout.kubeconfig() }

// KubeconfigFor returns a kubeconfig file's content for the given user and groups.
func (c *Cluster) KubeconfigFor(user string, groups ...string) ([]byte, error) {
	return c.creds.kubeconfig(c.config.Host, user, groups, time.Now())
}

// Dir is the directory of the cluster's files.
func (c *Cluster) Dir() string { return c.layout.dir }

// AuditLogPath is the audit log: one audit.k8s.io/v1 Event as JSON per line. The file exists only with Options.AuditLog.
func (c *Cluster) AuditLogPath() string { return c.layout.auditLog() }

// Version is the API server's version, for example "v1.36.3".
func (c *Cluster) Version() string { return c.version }

// URL is the API server's address, for example "https://127.0.0.1:35177".
func (c *Cluster) URL() string { return c.config.Host }

// Failed is closed when a component ended although nobody stopped it. The others keep running; the caller should call Stop.
func (c *Cluster) Failed() <-chan struct{} { return c.failed }

// Err says which component ended, how, and what it printed last. It is nil as long as Failed is open.
func (c *Cluster) Err() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.failure
}

// Components lists the running components in the order of their start.
func (c *Cluster) Components() []Component {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	components := make([]Component, 0, len(c.processes))
	for _, p := range c.processes {
		identity, err := process.Identify(p.PID())
		if err != nil {
			continue // it has just ended, which Failed reports
		}
		components = append(components, Component{Name: p.Name(), Process: identity, Log: p.LogPath()})
	}
	return components
}

// Stop ends all components, in the reverse order of their dependencies, and returns when they are gone. It removes the kubeconfig and,
// unless Options.Dir was given, all files; with Options.Dir the other files (logs, certificates, etcd's data) stay for a look. A
// second call returns what the first returned.
func (c *Cluster) Stop() error {
	c.stop.Do(func() { c.stopErr = c.shutDown() })
	return c.stopErr
}

func (c *Cluster) shutDown() error {
	c.stopProvisioner()
	c.mutex.Lock()
	c.stopping = true
	running := make(map[string]*process.Process, len(c.processes))
	for _, p := range c.processes {
		running[p.Name()] = p
	}
	c.mutex.Unlock()
	// Clients first, so that they do not fill their logs with lost connections; etcd last, so that the API server can end in peace.
	for _, group := range [][]string{{node.Command}, {kwok, kubeScheduler, controllerManager}, {kubeAPIServer}, {etcd}} {
		var stopped sync.WaitGroup
		for _, name := range group {
			if p, ok := running[name]; ok {
				stopped.Go(func() { p.Stop(stopGrace) })
			}
		}
		stopped.Wait()
	}
	c.watchers.Wait()
	c.launcher.Close()
	releasePorts(c.held)
	if c.layout.dir == "" {
		return nil // the start failed before it had a directory
	}
	if err := os.Remove(c.layout.kubeconfig()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the kubeconfig: %w", err)
	}
	if c.tempDir {
		if err := os.RemoveAll(c.layout.dir); err != nil {
			return fmt.Errorf("remove the cluster's directory: %w", err)
		}
	}
	return nil
}

// RemoveState removes everything that a stopped cluster left in dir, and dir itself when nothing else is in it.
func RemoveState(dir string) error {
	l := layout{dir: dir}
	if err := errors.Join(node.Remove(l.node()), os.RemoveAll(l.kubeconfig()), os.RemoveAll(l.run(""))); err != nil {
		return fmt.Errorf("remove the cluster's state: %w", err)
	}
	return nil
}

// NodeIn is the directory of the real node of a cluster with Options.Dir dir.
func NodeIn(dir string) string { return layout{dir: dir}.node() }

// KubeconfigIn is the path of the administrator's kubeconfig of a cluster with Options.Dir dir.
func KubeconfigIn(dir string) string { return layout{dir: dir}.kubeconfig() }

// LogsIn is the folder with the components' logs of a cluster with Options.Dir dir.
func LogsIn(dir string) string { return filepath.Dir(layout{dir: dir}.log("any")) }
