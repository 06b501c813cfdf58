package supervisor

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/process"
)

func noProgress(string) {}

func TestOnlyOneHoldsTheLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	held, err := lock(dir)
	require.NoError(t, err)
	_, err = lock(dir)
	require.ErrorIs(t, err, errLocked)
	require.NoError(t, held.Close())
	held, err = lock(dir)
	require.NoError(t, err)
	require.NoError(t, held.Close())
}

func TestThePublishedStateIsReadBack(t *testing.T) {
	dir := t.TempDir()
	_, found, err := readState(dir)
	require.NoError(t, err)
	assert.False(t, found)
	self, err := process.Identify(os.Getpid())
	require.NoError(t, err)
	want := State{
		Supervisor: self, Ready: true, URL: "https://127.0.0.1:1", Version: "v1.36.3", Nodes: 3, BinDir: "/bin",
		Components: []cluster.Component{{Name: "etcd", Process: self, Log: "/log"}},
	}
	require.NoError(t, writeState(dir, want))
	got, found, err := readState(dir)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, want, got)
	require.NoError(t, os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o600))
	_, _, err = readState(dir)
	require.Error(t, err)
}

// sleeper is a process that does not belong to any cluster.
func sleeper(t *testing.T) process.Identity {
	t.Helper()
	command := exec.Command("/bin/sleep", "1000")
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	identity, err := process.Identify(command.Process.Pid)
	require.NoError(t, err)
	return identity
}

func TestDownCleansUpAfterADeadSupervisor(t *testing.T) {
	dir := t.TempDir()
	leftover, stranger := sleeper(t), sleeper(t)
	recycled := stranger
	recycled.StartTicks-- // the process that had this number before
	require.NoError(t, writeState(dir, State{
		Supervisor: recycled, Ready: true, URL: "https://127.0.0.1:1",
		Components: []cluster.Component{{Name: "etcd", Process: leftover}, {Name: "kwok", Process: recycled}},
	}))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	require.NoError(t, os.MkdirAll(cluster.LogsIn(dir), 0o755))
	for _, name := range []string{cluster.KubeconfigIn(dir), filepath.Join(dir, failureFile), filepath.Join(dir, logFile)} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	status, err := Inspect(dir)
	require.NoError(t, err)
	assert.False(t, status.Running, "a published state is no running cluster")

	ran, err := Down(context.Background(), dir, noProgress)
	require.NoError(t, err)
	assert.False(t, ran)
	assert.True(t, stranger.Running(), "a process with a recycled number is left alone")
	require.Eventually(t, func() bool { return !leftover.Running() }, eventually, tick)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	assert.ElementsMatch(t, []string{"bin", lockFile}, names)
}

func TestDownOfNothingChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	for range 2 {
		ran, err := Down(context.Background(), dir, noProgress)
		require.NoError(t, err)
		assert.False(t, ran)
	}
	status, err := Inspect(dir)
	require.NoError(t, err)
	assert.Equal(t, Status{}, status)
	assert.NoDirExists(t, dir)
}

func TestDownDoesNotKillWhoHoldsTheLockUnderAnotherName(t *testing.T) {
	dir := t.TempDir()
	held, err := lock(dir)
	require.NoError(t, err)
	defer func() { _ = held.Close() }()
	stranger := sleeper(t)
	recycled := stranger
	recycled.StartTicks--
	require.NoError(t, writeState(dir, State{Supervisor: recycled}))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Down(ctx, dir, noProgress)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, stranger.Running())
}

func TestDownWaitsForSomebodyWhoOnlyLooks(t *testing.T) {
	dir := t.TempDir()
	held, err := lock(dir)
	require.NoError(t, err)
	stopped := make(chan error, 1)
	go func() {
		_, err := Down(context.Background(), dir, noProgress)
		stopped <- err
	}()
	time.Sleep(2 * pollInterval) // let it see the lock; without that the test only shows less
	require.NoError(t, held.Close())
	require.NoError(t, <-stopped)
}

func TestTheAnswerOfUpDecides(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		want   error
	}{
		"to go on when it has seen the cluster": {"k", nil},
		"to stop when it died":                  {"", errUpStopped},
		"to stop when it says something else":   {"x", errUpStopped},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, <-watchUp(strings.NewReader(test.answer)))
		})
	}
}

func TestReportsArriveAsTheyWereSent(t *testing.T) {
	state := &State{Version: "v1.36.3", Ready: true}
	for name, test := range map[string]struct {
		reports  []report
		want     result
		progress []string
	}{
		"progress, then a ready cluster": {
			[]report{{Progress: "one"}, {Progress: "two"}, {Ready: state}}, result{ready: state}, []string{"one", "two"},
		},
		"an error":                 {[]report{{Error: "no luck"}}, result{failed: &report{Error: "no luck"}}, nil},
		"nothing from a dead one":  {nil, result{}, nil},
		"a death after some words": {[]report{{Progress: "one"}}, result{}, []string{"one"}},
	} {
		t.Run(name, func(t *testing.T) {
			var sent strings.Builder
			r := reporter{encoder: json.NewEncoder(&sent), log: io.Discard}
			for _, rep := range test.reports {
				r.send(rep)
			}
			var progress []string
			got := readReports(strings.NewReader(sent.String()), func(line string) { progress = append(progress, line) })
			assert.Equal(t, test.want, got)
			assert.Equal(t, test.progress, progress)
		})
	}
}

func TestASupervisorIsNotStartedByHand(t *testing.T) {
	for _, arguments := range [][]string{nil, {settingsFlag}, {"--other", "{}"}, {settingsFlag, "{"}} {
		require.Error(t, Supervise(arguments))
	}
}
