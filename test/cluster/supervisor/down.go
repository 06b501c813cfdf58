package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/datapower-operator/datapower-operator/test/cluster/process"
)

const (
	// stopTimeout is how long a supervisor gets to stop its cluster after SIGTERM; each of three groups of components has five seconds.
	stopTimeout = 20 * time.Second
	// killTimeout is how long the kernel gets to end a killed supervisor.
	killTimeout = 10 * time.Second
)

// ErrStuck says that the lock of a cluster is held, but the process that holds it could not be stopped.
var ErrStuck = errors.New("the cluster cannot be stopped")

// Status describes the cluster of a directory.
type Status struct {
	// Running says that a supervisor lives.
	Running bool
	// State is what it has published; a supervisor that has just begun has published nothing.
	State State
	// Failure says why the last cluster ended on its own; empty when it did not.
	Failure string
}

// Inspect looks at the cluster in dir without changing anything.
func Inspect(dir string) (Status, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return Status{}, nil
	}
	held, err := lock(dir)
	if err == nil {
		return Status{Failure: readFailure(dir)}, held.Close()
	}
	if !errors.Is(err, errLocked) {
		return Status{}, err
	}
	state, _, err := readState(dir)
	return Status{Running: true, State: state}, err
}

// Down stops the cluster in dir and removes everything but the lock file and the programs. It reports whether a cluster ran. Without
// one, it removes what a dead one has left. Only the supervisor that the state names is signalled, never another process that has
// got its ID.
func Down(ctx context.Context, dir string, progress func(line string)) (ran bool, err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	state, held, err := holder(ctx, dir)
	if err != nil {
		return false, err
	}
	if held != nil {
		return false, errors.Join(cleanUp(dir, State{}), held.Close())
	}
	held, err = stopSupervisor(ctx, dir, state.Supervisor, progress)
	if err != nil {
		return true, err
	}
	return true, errors.Join(cleanUp(dir, state), held.Close())
}

// holder returns the state of the running supervisor or, when none runs, the lock. Others hold the lock for a moment only (to look, or
// before they say who they are), so it looks again for a while.
func holder(ctx context.Context, dir string) (State, *os.File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, killTimeout, fmt.Errorf("%w: nobody says who holds its lock", ErrStuck))
	defer cancel()
	for {
		held, err := lock(dir)
		if err == nil {
			return State{}, held, nil
		}
		if !errors.Is(err, errLocked) {
			return State{}, nil, err
		}
		state, found, err := readState(dir)
		if err == nil && found && state.Supervisor.Running() {
			return state, nil, nil
		}
		select {
		case <-ctx.Done():
			return State{}, nil, errors.Join(context.Cause(ctx), err)
		case <-time.After(pollInterval):
		}
	}
}

// stopSupervisor ends the supervisor, politely first, and returns its lock.
func stopSupervisor(ctx context.Context, dir string, supervisor process.Identity, progress func(string)) (*os.File, error) {
	for _, attempt := range []struct {
		signal  syscall.Signal
		timeout time.Duration
	}{{syscall.SIGTERM, stopTimeout}, {syscall.SIGKILL, killTimeout}} {
		if attempt.signal == syscall.SIGKILL {
			progress("the supervisor does not stop; killing it")
		}
		if err := supervisor.Signal(attempt.signal); err != nil && !errors.Is(err, process.ErrNotRunning) {
			return nil, fmt.Errorf("stop the supervisor: %w", err)
		}
		held, err := awaitLock(ctx, dir, attempt.timeout)
		if !errors.Is(err, errLocked) {
			return held, err
		}
	}
	return nil, fmt.Errorf("%w: process %d still holds its lock", ErrStuck, supervisor.PID)
}

// awaitLock takes the lock as soon as it is free; it returns errLocked when it is not within the timeout.
func awaitLock(ctx context.Context, dir string, timeout time.Duration) (*os.File, error) {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		held, err := lock(dir)
		if !errors.Is(err, errLocked) {
			return held, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-deadline.C:
			return nil, err
		case <-time.After(pollInterval):
		}
	}
}
