package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/process"
)

const (
	// pollInterval is the time between two looks at a lock that another process holds.
	pollInterval = 100 * time.Millisecond
	// answerTimeout is how long a running cluster gets to answer before it is called broken.
	answerTimeout = 10 * time.Second
	// giveUpTimeout is how long a supervisor whose start was cancelled gets to stop everything before it is killed.
	giveUpTimeout = 30 * time.Second
	// tailLines is how much of the supervisor's log an error shows.
	tailLines = 15
)

var (
	// ErrUnresponsive says that a supervisor runs, but its API server does not answer.
	ErrUnresponsive = errors.New("a cluster runs, but it does not answer; stop it first")
	// ErrSupervisor says that the supervisor reported an error or died.
	ErrSupervisor = errors.New("the cluster did not start")
)

// Programs makes the cluster's programs ready and returns their directory as an absolute path.
type Programs func(context.Context) (dir string, err error)

// Up makes sure that the cluster in settings.Dir runs and is ready, and returns its state. A cluster that runs already is left as it
// is (existing is true), whatever the settings say; one that another Up starts is waited for; leftovers of a dead one are removed. When
// ctx ends or this process dies before Up returns, the cluster that it has begun to start is stopped. The function programs returns the
// directory of the programs; it is called only when a cluster has to be started.
func Up(ctx context.Context, settings Settings, programs Programs, progress func(line string)) (state State, existing bool, err error) {
	if failure := readFailure(settings.Dir); failure != "" {
		progress("the last cluster failed: " + failure)
	}
	notes := map[string]bool{}
	note := func(line string) {
		if !notes[line] {
			progress(line)
		}
		notes[line] = true
	}
	var silentSince time.Time
	for {
		status, err := Inspect(settings.Dir)
		if err != nil {
			return State{}, false, err
		}
		switch {
		case status.Running && status.State.Ready:
			err := answers(ctx, settings.Dir)
			if err == nil {
				return status.State, true, nil
			}
			// Most likely it is just being stopped.
			note("a cluster runs, but it does not answer; waiting for it")
			if silentSince.IsZero() {
				silentSince = time.Now()
			}
			if time.Since(silentSince) > answerTimeout {
				return State{}, true, err
			}
		case status.Running:
			note("another `cluster up` is starting the cluster; waiting for it")
		default:
			state, err := startNew(ctx, settings, programs, progress)
			if !errors.Is(err, errLocked) {
				return state, false, err
			}
		}
		select {
		case <-ctx.Done():
			return State{}, false, context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}

// startNew gets the programs ready and starts the cluster with them. It returns errLocked when another Up was faster.
func startNew(ctx context.Context, settings Settings, programs Programs, progress func(string)) (State, error) {
	dir, err := programs(ctx)
	if err != nil {
		return State{}, err
	}
	settings.BinDir = dir
	return startSupervisor(ctx, settings, progress)
}

// answers checks that the API server of the running cluster is ready.
func answers(ctx context.Context, dir string) error {
	config, err := clientcmd.BuildConfigFromFlags("", cluster.KubeconfigIn(dir))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnresponsive, err)
	}
	config.Timeout = answerTimeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnresponsive, err)
	}
	if _, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnresponsive, err)
	}
	return nil
}

// startSupervisor starts the supervising process and waits until it reports a ready cluster. It returns errLocked when another
// supervisor was faster.
func startSupervisor(ctx context.Context, settings Settings, progress func(string)) (State, error) {
	encoded, err := json.Marshal(settings)
	if err != nil {
		return State{}, fmt.Errorf("encode the settings: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return State{}, fmt.Errorf("find this program: %w", err)
	}
	child, lifeline, reports, err := spawn(exec.Command(program, Command, settingsFlag, string(encoded)))
	if err != nil {
		return State{}, err
	}
	defer func() { _, _ = lifeline.Close(), reports.Close() }() // pipes of which all is read or nothing is wanted

	results := make(chan result, 1)
	go func() { results <- readReports(reports, progress) }()
	select {
	case outcome := <-results:
		return finish(child, lifeline, outcome, settings.Dir)
	case <-ctx.Done():
	}
	_ = lifeline.Close() // tells the supervisor to give up
	select {
	case <-results:
	case <-time.After(giveUpTimeout):
		_ = child.Process.Kill() // its components die with it
		<-results
	}
	_ = child.Wait() // how a cancelled supervisor ends does not matter
	return State{}, context.Cause(ctx)
}

// spawn starts the supervisor in a session of its own, so that no signal of this terminal reaches it, and connects it by two pipes.
func spawn(child *exec.Cmd) (_ *exec.Cmd, lifeline io.WriteCloser, reports io.ReadCloser, err error) {
	lifelineEnd, lifelineFile, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	reportFile, reportEnd, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, errors.Join(fmt.Errorf("make a pipe: %w", err), lifelineEnd.Close(), lifelineFile.Close())
	}
	child.ExtraFiles = []*os.File{lifelineEnd, reportEnd} // become lifelineFD and reportFD
	child.Dir = "/"
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = child.Start()
	// The child has its own copies of its ends.
	err = errors.Join(err, lifelineEnd.Close(), reportEnd.Close())
	if err != nil {
		return nil, nil, nil, errors.Join(fmt.Errorf("start the supervisor: %w", err), lifelineFile.Close(), reportFile.Close())
	}
	return child, lifelineFile, reportFile, nil
}

// result is how the supervisor's reports end: with a ready cluster, with an error, or without either when it died.
type result struct {
	ready  *State
	failed *report
}

// readReports passes progress on until there is a result.
func readReports(reports io.Reader, progress func(string)) result {
	decoder := json.NewDecoder(reports)
	for {
		var next report
		if err := decoder.Decode(&next); err != nil {
			return result{}
		}
		switch {
		case next.Ready != nil:
			return result{ready: next.Ready}
		case next.Error != "":
			return result{failed: &next}
		default:
			progress(next.Progress)
		}
	}
}

// finish confirms a ready cluster to the supervisor, or turns another result into an error.
func finish(child *exec.Cmd, lifeline io.Writer, outcome result, dir string) (State, error) {
	if outcome.ready != nil {
		if _, err := lifeline.Write([]byte{keepRunning}); err == nil {
			return *outcome.ready, child.Process.Release()
		}
		outcome = result{} // it has died at the last moment
	}
	_ = child.Wait() // its own report says more than its exit status
	switch {
	case outcome.failed != nil && outcome.failed.Busy:
		return State{}, errLocked
	case outcome.failed != nil:
		return State{}, fmt.Errorf("%w: %s", ErrSupervisor, outcome.failed.Error)
	default:
		return State{}, fmt.Errorf("%w: the supervisor died; its log ends with:\n%s", ErrSupervisor,
			process.Tail(filepath.Join(dir, logFile), tailLines))
	}
}
