package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// removeTimeout is how long the kernel gets to end the last process of a killed node, which holds its cgroup.
	removeTimeout = 10 * time.Second
	removeTick    = 100 * time.Millisecond
)

// namespaces are those that the node has for itself.
const namespaces = unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP

// cgroupName is the name of the node's cgroups: two nodes on one machine have different directories.
func (s Settings) cgroupName() string {
	sum := sha256.Sum256([]byte(s.Dir))
	return "datapower-node-" + hex.EncodeToString(sum[:4])
}

// run is the half outside of the namespaces: it makes them with their first process, joins them to the API server, and cleans up after
// them. SIGTERM ends the node; the kernel ends it when this process dies, because the first process asks for that.
func (s Settings) run(encoded string) error {
	runtime.LockOSThread() // the parent-death signal is bound to the thread that forks
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	for _, dir := range []string{s.Dir, s.path("logs")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the node's directory: %w", err)
		}
	}
	listener, err := net.Listen("unix", s.apiSocket())
	if err != nil {
		return fmt.Errorf("listen for the node: %w", err)
	}
	go relay(listener, func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.APIServer)
	})
	current, err := cgroupsOf("/proc/self/cgroup")
	if err != nil {
		return err
	}
	cgroups, err := makeCgroups(current, s.cgroupName())
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path("cgroups"), []byte(strings.Join(cgroups.inside, "\n")), 0o600); err != nil {
		return fmt.Errorf("write down the node's cgroups: %w", err)
	}
	child, err := s.startInit(encoded, cgroups)
	if err != nil {
		return errors.Join(err, removeCgroups(cgroups.inside))
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	select {
	case err = <-ended:
		err = fmt.Errorf("the node ended: %w", errors.Join(err, errEnded))
	case <-ctx.Done():
		_ = child.Process.Kill() // an error means that it has just ended
		<-ended
		err = nil
	}
	return errors.Join(err, awaitRemoval(cgroups.inside))
}

// errEnded is the reason when the first process ended with status 0, which it never should.
var errEnded = errors.New("its first process is gone")

// startInit starts the first process of the namespaces in the node's cgroups, which become the root of what the node sees of them.
func (s Settings) startInit(encoded string, cgroups cgroupSet) (*exec.Cmd, error) {
	if err := enter(cgroups.inside); err != nil {
		return nil, err
	}
	child := exec.Command("/proc/self/exe", initCommand, encoded)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	started := child.Start()
	if err := errors.Join(started, enter(cgroups.outside)); err != nil {
		return nil, fmt.Errorf("start the node: %w", err)
	}
	if err := os.WriteFile(s.path("init.pid"), []byte(strconv.Itoa(child.Process.Pid)), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write down the node's first process: %w", err), child.Process.Kill())
	}
	return child, nil
}

// awaitRemoval removes the cgroups as soon as the kernel has ended all that was in them.
func awaitRemoval(roots []string) error {
	deadline := time.Now().Add(removeTimeout)
	for {
		err := removeCgroups(roots)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(removeTick)
	}
}

// Remove removes what a node that no longer runs has left outside of its directory: empty cgroups, when it was killed.
func Remove(dir string) error {
	list, err := os.ReadFile(Settings{Dir: dir}.path("cgroups"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for cgroups of the node: %w", err)
	}
	var left []string
	for root := range strings.SplitSeq(string(list), "\n") {
		if _, err := os.Stat(root); err == nil {
			left = append(left, root)
		}
	}
	return awaitRemoval(left)
}

// Load gives images to the running node whose directory is dir: archives in OCI layout or of docker save. It returns what ctr printed.
func Load(ctx context.Context, dir string, archives ...string) (string, error) {
	s := Settings{Dir: dir}
	var printed strings.Builder
	for _, archive := range archives {
		output, err := exec.CommandContext(ctx, "ctr", importArguments(s.ContainerdSocket(), archive)...).CombinedOutput()
		if err != nil {
			return printed.String(), fmt.Errorf("load %s: %w: %s", archive, err, strings.TrimSpace(string(output)))
		}
		printed.Write(output)
	}
	return printed.String(), nil
}

func importArguments(socket, archive string) []string {
	return []string{"--address", socket, "--namespace", "k8s.io", "images", "import", archive}
}

// ErrNotRunning says that there is no node in a directory.
var ErrNotRunning = errors.New("no node runs here")

// Process is the ID of the first process of the running node whose directory is dir: /proc/ID/ns/net is its network, for nsenter.
func Process(dir string) (int, error) {
	data, err := os.ReadFile(Settings{Dir: dir}.path("init.pid"))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	id, err := strconv.Atoi(string(data))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return id, nil
}
