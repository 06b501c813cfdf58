package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
)

const (
	// eventually is how long a test waits for what must happen; tick is how often it looks.
	eventually = time.Minute
	tick       = 20 * time.Millisecond

	// upEnv makes this test binary call Up with the settings in the variable, and stay at the line of progress that begins with
	// the text in holdEnv.
	upEnv   = "SUPERVISOR_TEST_UP"
	holdEnv = "SUPERVISOR_TEST_HOLD"
)

// TestMain lets this test binary be the supervisor, as Up starts its own program for that, or a `cluster up` to kill.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		if err := Supervise(os.Args[2:]); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if encoded := os.Getenv(upEnv); encoded != "" {
		os.Exit(upHelper(encoded))
	}
	goleak.VerifyTestMain(m)
}

func upHelper(encoded string) int {
	var settings Settings
	if err := json.Unmarshal([]byte(encoded), &settings); err != nil {
		fmt.Println(err)
		return 2
	}
	_, _, err := Up(context.Background(), settings, programsIn(settings.BinDir), func(line string) {
		fmt.Println(line)
		if strings.HasPrefix(line, os.Getenv(holdEnv)) {
			time.Sleep(time.Hour) // it is killed here
		}
	})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println("up")
	return 0
}

func programsIn(dir string) Programs {
	return func(context.Context) (string, error) { return dir, nil }
}

// newSettings describes a cluster of one node that the test stops at its end.
func newSettings(t *testing.T) Settings {
	t.Helper()
	binDir, err := filepath.Abs(clustertest.NeedBinaries(t))
	require.NoError(t, err)
	settings := Settings{Dir: t.TempDir(), BinDir: binDir, Nodes: 1}
	t.Cleanup(func() {
		_, err := Down(context.Background(), settings.Dir, func(line string) { t.Log(line) })
		assert.NoError(t, err)
		assertNothingRuns(t, settings.Dir)
	})
	return settings
}

func assertNothingRuns(t *testing.T, dir string) {
	t.Helper()
	assert.Eventually(t, func() bool { return len(clustertest.Processes(t, dir)) == 0 }, eventually, tick)
}

func up(t *testing.T, settings Settings) (State, bool) {
	t.Helper()
	state, existing, err := Up(context.Background(), settings, programsIn(settings.BinDir), func(line string) { t.Log(line) })
	require.NoError(t, err)
	return state, existing
}

func TestUpAndDownTwice(t *testing.T) {
	t.Parallel()
	settings := newSettings(t)
	settings.AuditLog = true
	state, existing := up(t, settings)
	assert.False(t, existing)
	assert.Len(t, state.Components, 5)
	assert.FileExists(t, cluster.KubeconfigIn(settings.Dir))
	assert.FileExists(t, state.AuditLog)
	assert.NotEqual(t, syscall.Getpgrp(), pgid(t, state.Supervisor.PID), "a Ctrl-C here must not reach the supervisor")

	again, existing := up(t, settings)
	assert.True(t, existing)
	assert.Equal(t, state.Supervisor, again.Supervisor)
	status, err := Inspect(settings.Dir)
	require.NoError(t, err)
	assert.True(t, status.Running)
	assert.Equal(t, state.URL, status.State.URL)

	for _, want := range []bool{true, false} {
		ran, err := Down(context.Background(), settings.Dir, noProgress)
		require.NoError(t, err)
		assert.Equal(t, want, ran)
		assert.Empty(t, clustertest.Processes(t, settings.Dir))
	}
	assert.NoFileExists(t, cluster.KubeconfigIn(settings.Dir))
	status, err = Inspect(settings.Dir)
	require.NoError(t, err)
	assert.Equal(t, Status{}, status)
}

func pgid(t *testing.T, pid int) int {
	t.Helper()
	id, err := syscall.Getpgid(pid)
	require.NoError(t, err)
	return id
}

func TestSeveralUpsMakeOneCluster(t *testing.T) {
	t.Parallel()
	settings := newSettings(t)
	states := make([]State, 3)
	var all sync.WaitGroup
	for i := range states {
		all.Go(func() {
			var err error
			states[i], _, err = Up(context.Background(), settings, programsIn(settings.BinDir), noProgress)
			assert.NoError(t, err)
		})
	}
	all.Wait()
	assert.NotZero(t, states[0].Supervisor.PID)
	assert.Equal(t, states[0].Supervisor, states[1].Supervisor)
	assert.Equal(t, states[0].Supervisor, states[2].Supervisor)
	assert.Len(t, clustertest.Processes(t, settings.Dir), 6, "a supervisor and five components")
}

func TestAKilledSupervisorTakesTheClusterWithItAndUpStartsANewOne(t *testing.T) {
	t.Parallel()
	settings := newSettings(t)
	first, _ := up(t, settings)
	require.NoError(t, first.Supervisor.Signal(syscall.SIGKILL))
	assertNothingRuns(t, settings.Dir)
	require.Eventually(t, func() bool {
		status, err := Inspect(settings.Dir)
		return err == nil && !status.Running
	}, eventually, tick)
	second, existing := up(t, settings)
	assert.False(t, existing)
	assert.NotEqual(t, first.Supervisor, second.Supervisor)
}

func TestUpRightAfterTheKillOfTheSupervisorStartsANewCluster(t *testing.T) {
	t.Parallel()
	settings := newSettings(t)
	first, _ := up(t, settings)
	require.NoError(t, first.Supervisor.Signal(syscall.SIGKILL))
	// The first look may come before the signal has done its work.
	require.Eventually(t, func() bool {
		second, _, err := Up(context.Background(), settings, programsIn(settings.BinDir), noProgress)
		return assert.NoError(t, err) && second.Supervisor != first.Supervisor
	}, eventually, tick)
}

func TestAnUpThatIsKilledWhileItWaitsLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"etcd is healthy", "kube-apiserver is ready", "1 simulated nodes are Ready"} {
		t.Run("after "+line, func(t *testing.T) {
			t.Parallel()
			settings := newSettings(t)
			command := startUp(t, settings, line)
			assert.NotEmpty(t, clustertest.Processes(t, settings.Dir))
			require.NoError(t, command.Process.Kill())
			require.Error(t, command.Wait())
			assertNothingRuns(t, settings.Dir)
			require.Eventually(t, func() bool {
				status, err := Inspect(settings.Dir)
				return err == nil && !status.Running && status.Failure == ""
			}, eventually, tick)
			assert.NoDirExists(t, cluster.LogsIn(settings.Dir))
		})
	}
}

// startUp runs Up in a program of its own, which stays where it prints the line.
func startUp(t *testing.T, settings Settings, line string) *exec.Cmd {
	t.Helper()
	encoded, err := json.Marshal(settings)
	require.NoError(t, err)
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), upEnv+"="+string(encoded), holdEnv+"="+line)
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	scanner := bufio.NewScanner(output)
	var printed []string
	for scanner.Scan() {
		printed = append(printed, scanner.Text())
		if strings.HasPrefix(scanner.Text(), line) {
			return command
		}
	}
	require.FailNow(t, "up ended before it printed "+line, strings.Join(printed, "\n"))
	return nil
}

func TestAnUpThatIsCancelledLeavesNothing(t *testing.T) {
	t.Parallel()
	settings := newSettings(t)
	ctx, cancel := context.WithCancel(context.Background())
	_, _, err := Up(ctx, settings, programsIn(settings.BinDir), func(line string) {
		if strings.HasPrefix(line, "kube-apiserver is ready") {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, clustertest.Processes(t, settings.Dir))
	assert.NoDirExists(t, cluster.LogsIn(settings.Dir))
}

func TestADownWhileTheClusterStartsStopsIt(t *testing.T) {
	t.Parallel()
	settings := newSettings(t)
	stopped := make(chan error, 1)
	_, _, err := Up(context.Background(), settings, programsIn(settings.BinDir), func(line string) {
		if strings.HasPrefix(line, "etcd is healthy") {
			go func() {
				_, err := Down(context.Background(), settings.Dir, noProgress)
				stopped <- err
			}()
		}
	})
	require.ErrorIs(t, err, ErrSupervisor)
	require.NoError(t, <-stopped)
	assertNothingRuns(t, settings.Dir)
}

func TestADeadComponentEndsTheClusterAndTheReasonStays(t *testing.T) {
	t.Parallel()
	settings := newSettings(t)
	state, _ := up(t, settings)
	require.NoError(t, state.Components[4].Process.Signal(syscall.SIGKILL))
	require.Eventually(t, func() bool {
		status, err := Inspect(settings.Dir)
		return err == nil && !status.Running
	}, eventually, tick)
	status, err := Inspect(settings.Dir)
	require.NoError(t, err)
	assert.Contains(t, status.Failure, "kwok ended: signal: killed")
	assert.NoFileExists(t, cluster.KubeconfigIn(settings.Dir))
	assertNothingRuns(t, settings.Dir)

	var lines []string
	_, existing, err := Up(context.Background(), settings, programsIn(settings.BinDir), func(line string) { lines = append(lines, line) })
	require.NoError(t, err)
	assert.False(t, existing)
	assert.Contains(t, lines[0], "kwok ended: signal: killed", "the next up says why there is none")
	status, err = Inspect(settings.Dir)
	require.NoError(t, err)
	assert.True(t, status.Running)
	assert.Empty(t, status.Failure)
}

func TestAComponentThatDiesAtTheStartIsExplained(t *testing.T) {
	t.Parallel()
	binDir := t.TempDir()
	for _, name := range binaries.Names(binaries.ControlPlane) {
		script := "#!/bin/sh\necho 'cannot open the database' >&2\nexit 3\n"
		require.NoError(t, os.WriteFile(filepath.Join(binDir, name), []byte(script), 0o755))
	}
	settings := Settings{Dir: t.TempDir(), BinDir: binDir}
	_, _, err := Up(context.Background(), settings, programsIn(binDir), noProgress)
	require.ErrorIs(t, err, ErrSupervisor)
	require.ErrorContains(t, err, "etcd ended: exit status 3")
	require.ErrorContains(t, err, "cannot open the database")
	status, err := Inspect(settings.Dir)
	require.NoError(t, err)
	assert.Contains(t, status.Failure, "cannot open the database")
	assertNothingRuns(t, settings.Dir)
}

func TestProgramsThatCannotBeBuiltEndUp(t *testing.T) {
	t.Parallel()
	failure := fmt.Errorf("no compiler")
	_, _, err := Up(context.Background(), Settings{Dir: t.TempDir()}, func(context.Context) (string, error) { return "", failure }, noProgress)
	require.ErrorIs(t, err, failure)
}
