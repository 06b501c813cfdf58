// Package binaries finds the programs of a local cluster (etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, kwok)
// and builds them from the Go module tools/kubernetes of this repository.
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

// toolsDir is the Go module that pins the programs, relative to the repository.
var toolsDir = filepath.Join("tools", "kubernetes")

// program is one program to build.
type program struct {
	name   string
	pkg    string // what is built
	module string // the Go module of the package; its version is the program's
}

// programs lists what is built, in this order.
var programs = []program{
	{"etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"},
	{"kube-apiserver", kubernetesModule + "/cmd/kube-apiserver", kubernetesModule},
	{"kube-controller-manager", kubernetesModule + "/cmd/kube-controller-manager", kubernetesModule},
	{"kube-scheduler", kubernetesModule + "/cmd/kube-scheduler", kubernetesModule},
	{"kubectl", kubernetesModule + "/cmd/kubectl", kubernetesModule},
	{"kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok"},
}

// Names lists the names of all programs.
func Names() []string {
	names := make([]string, 0, len(programs))
	for _, p := range programs {
		names = append(names, p.name)
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

// Find returns the directory of the programs without building anything: the one that EnvDir names, else the one that Build has filled
// for the repository around the working directory, even if it is out of date. The path is absolute. It returns
// ErrMissing when a program is not there.
func Find() (string, error) {
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
	if missing := missingIn(dir); len(missing) > 0 {
		return "", fmt.Errorf("%w (looked in %s for %s)", ErrMissing, dir, strings.Join(missing, ", "))
	}
	return dir, nil
}

// missingIn lists the programs that are not executable files in dir.
func missingIn(dir string) []string {
	var missing []string
	for _, name := range Names() {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}
