// Package binaries finds the programs of a local cluster (etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, kwok;
// for a real node also kubelet, kube-proxy, CoreDNS and pause) and builds them from the Go modules tools/kubernetes and tools/node of
// this repository.
package binaries

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// EnvDir is the environment variable that names a directory with the programs. When it is set, nothing is built and the repository's
// own build is not looked at.
const EnvDir = "DATAPOWER_CLUSTER_BIN"

// ErrMissing says that the programs are not there.
var ErrMissing = errors.New("the programs of the local cluster are missing; build them with `make cluster-build`")

// ErrNoRepository says that a directory is not inside a checkout of this repository.
var ErrNoRepository = errors.New("not inside the repository")

// toolsDir is the Go module that pins Kubernetes, relative to the repository.
var toolsDir = filepath.Join("tools", "kubernetes")

// program is one program to build.
type program struct {
	name   string
	pkg    string // what is built
	module string // the Go module of the package; its version is the program's
}

// Set is programs of one Go module that are built and stamped together.
type Set struct {
	dir      string   // the module, relative to the repository
	files    []string // the files of the module that decide what is built
	programs []program
	stamp    string // the file beside the programs that says what they were built from
}

// The sets of programs: ControlPlane is what every cluster needs, the others what a real node needs beside it. Each is built in the
// order of its programs.
var (
	ControlPlane = Set{
		dir: toolsDir, files: []string{"go.mod", "go.sum", "tools.go"}, stamp: "stamp.json",
		programs: []program{
			{"etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"},
			{"kube-apiserver", kubernetesModule + "/cmd/kube-apiserver", kubernetesModule},
			{"kube-controller-manager", kubernetesModule + "/cmd/kube-controller-manager", kubernetesModule},
			{"kube-scheduler", kubernetesModule + "/cmd/kube-scheduler", kubernetesModule},
			{"kubectl", kubernetesModule + "/cmd/kubectl", kubernetesModule},
			{"kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok"},
		},
	}
	Kubelet = Set{
		dir: toolsDir, files: []string{"go.mod", "go.sum", "tools.go"}, stamp: "stamp-kubelet.json",
		programs: []program{
			{"kubelet", kubernetesModule + "/cmd/kubelet", kubernetesModule},
			{"kube-proxy", kubernetesModule + "/cmd/kube-proxy", kubernetesModule},
		},
	}
	NodeTools = Set{
		dir: filepath.Join("tools", "node"), stamp: "stamp-node.json",
		files: []string{"go.mod", "go.sum", filepath.Join("coredns", "main.go"), filepath.Join("pause", "main.go")},
		programs: []program{
			{"coredns", "./coredns", "github.com/coredns/coredns"},
			{"pause", "./pause", "github.com/datapower-operator/datapower-operator/tools/node"},
		},
	}
)

// RealNode is everything that a cluster with a real node needs.
func RealNode() []Set { return []Set{ControlPlane, Kubelet, NodeTools} }

// Names lists the names of the programs of the sets.
func Names(sets ...Set) []string {
	var names []string
	for _, set := range sets {
		for _, p := range set.programs {
			names = append(names, p.name)
		}
	}
	return names
}

// RepositoryRoot returns the root of the repository that dir is in; ErrNoRepository when there is none.
func RepositoryRoot(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for dir = start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, toolsDir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s: %w", start, ErrNoRepository)
		}
	}
}

// StateDir is where the repository's cluster and the built programs live.
func StateDir(root string) string { return filepath.Join(root, ".cluster") }

// BinDir is where Build puts the programs of the repository.
func BinDir(root string) string { return filepath.Join(StateDir(root), "bin") }

// Find returns the directory of the sets' programs without building anything: the one that EnvDir names, else the one that Build has
// filled for the repository around the working directory, even if it is out of date. The path is absolute. It returns
// ErrMissing when a program is not there.
func Find(sets ...Set) (string, error) {
	dir := os.Getenv(EnvDir)
	if dir == "" {
		root, err := RepositoryRoot(".")
		if err != nil {
			return "", err
		}
		dir = BinDir(root)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("directory of the programs: %w", err)
	}
	if missing := missingIn(dir, sets...); len(missing) > 0 {
		return "", fmt.Errorf("%w (looked in %s for %s)", ErrMissing, dir, strings.Join(missing, ", "))
	}
	return dir, nil
}

// missingIn lists the programs of the sets that are not executable files in dir.
func missingIn(dir string, sets ...Set) []string {
	var missing []string
	for _, name := range Names(sets...) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}
