package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/process"
)

// Files in the cluster's directory, beside those of the package cluster. The lock file is never removed: two programs that lock
// different files of the same name would both believe to be alone.
const (
	lockFile    = "lock"
	stateFile   = "state.json"
	failureFile = "failure"
	logFile     = "supervisor.log"
)

// State is what a supervisor publishes about its cluster.
type State struct {
	// Supervisor is the process that owns the cluster.
	Supervisor process.Identity `json:"supervisor"`
	// StartedAt is when the supervisor began.
	StartedAt time.Time `json:"startedAt"`
	// Ready says that the cluster has started; the fields below are set only then.
	Ready bool `json:"ready"`
	// URL is the API server's address.
	URL string `json:"url,omitempty"`
	// Version is the Kubernetes version.
	Version string `json:"version,omitempty"`
	// Nodes is the number of simulated nodes.
	Nodes int `json:"nodes,omitempty"`
	// RealNode says that there is a real node beside them.
	RealNode bool `json:"realNode,omitempty"`
	// BinDir is the directory of the programs.
	BinDir string `json:"binDir,omitempty"`
	// AuditLog is the path of the audit log, if there is one.
	AuditLog string `json:"auditLog,omitempty"`
	// Components are the processes of the cluster.
	Components []cluster.Component `json:"components,omitempty"`
}

// errLocked says that another process holds the lock.
var errLocked = errors.New("locked by another process")

// lock takes the lock of the cluster in dir. A supervisor holds it as long as it lives; the kernel releases it when the supervisor
// dies, however that happens. It returns errLocked when another process has it.
func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the cluster's directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the cluster's lock: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
	}
	return file, nil
}

// readState reads what the supervisor has published; found is false when there is nothing.
func readState(dir string) (state State, found bool, err error) {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, fmt.Errorf("read the cluster's state: %w", err)
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return State{}, false, fmt.Errorf("read the cluster's state: %w", err)
	}
	return state, true, nil
}

// writeState publishes the state in one step.
func writeState(dir string, state State) error {
	data, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the cluster's state: %w", err)
	}
	path := filepath.Join(dir, stateFile)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the cluster's state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the cluster's state: %w", err)
	}
	return nil
}

// removeState removes everything of the cluster but the lock file and what others keep in dir (the programs). The caller holds the lock.
func removeState(dir string) error {
	err := cluster.RemoveState(dir)
	for _, name := range []string{stateFile, stateFile + ".new", failureFile, logFile} {
		if e := os.Remove(filepath.Join(dir, name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("remove the cluster's state: %w", e))
		}
	}
	return err
}

// cleanUp removes what a supervisor that no longer runs has left: processes, which the kernel should have killed with it, and files.
// Besides the components of the published state it takes those of an earlier reading of it. The caller holds the lock.
func cleanUp(dir string, earlier State) error {
	published, _, err := readState(dir)
	if err != nil {
		published = State{} // a broken file is removed like any other
	}
	for _, component := range append(published.Components, earlier.Components...) {
		if err := component.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, process.ErrNotRunning) {
			return fmt.Errorf("stop a leftover %s: %w", component.Name, err)
		}
	}
	return removeState(dir)
}

// withdraw replaces the published state by the reason why the cluster ended. The logs stay.
func withdraw(dir string, failure error) error {
	if err := os.WriteFile(filepath.Join(dir, failureFile), []byte(failure.Error()), 0o600); err != nil {
		return fmt.Errorf("write down why the cluster ended: %w", err)
	}
	if err := os.Remove(filepath.Join(dir, stateFile)); err != nil {
		return fmt.Errorf("remove the cluster's state: %w", err)
	}
	return nil
}

// readFailure returns why the last cluster ended on its own, "" when it did not.
func readFailure(dir string) string {
	data, err := os.ReadFile(filepath.Join(dir, failureFile))
	if err != nil {
		return ""
	}
	return string(data)
}
