// Package supervisor keeps one cluster per directory running in the background: Up starts a supervising process that owns the cluster,
// Down stops it, Status describes it. When the supervisor dies, even by SIGKILL, the kernel kills every component with it; while Up
// waits, the supervisor dies with Up.
package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/process"
)

// Command is the hidden sub-command that makes a program the supervisor: it must call Supervise.
const Command = "supervise"

// Descriptors that Up hands to the supervisor, and the byte that Up writes when it has seen that the cluster is ready. From then on
// the cluster outlives Up; the end of the pipe without that byte means that Up has died.
const (
	lifelineFD   = 3
	reportFD     = 4
	keepRunning  = 'k'
	settingsFlag = "--settings"
)

// Settings are what the supervisor is told about its cluster.
type Settings struct {
	// Dir is the absolute path of the cluster's directory.
	Dir string `json:"dir"`
	// BinDir is the absolute path of the programs' directory; Up sets it.
	BinDir string `json:"binDir"`
	// Nodes is the number of simulated nodes.
	Nodes int `json:"nodes"`
	// RealNode asks for a real node beside them; Images are archives that it has from the start.
	RealNode bool     `json:"realNode,omitempty"`
	Images   []string `json:"images,omitempty"`
	// AuditLog asks for an audit log.
	AuditLog bool `json:"auditLog"`
}

// options are the cluster's options. The program that supervises is also the one that runs the node.
func (s Settings) options() (cluster.Options, error) {
	options := cluster.Options{Dir: s.Dir, BinDir: s.BinDir, Nodes: s.Nodes, AuditLog: s.AuditLog}
	if s.RealNode {
		program, err := os.Executable()
		if err != nil {
			return options, fmt.Errorf("find this program: %w", err)
		}
		options.RealNode = &cluster.RealNode{Program: program, Images: s.Images}
	}
	return options, nil
}

// report is one line that the supervisor sends to Up.
type report struct {
	Progress string `json:"progress,omitempty"`
	Error    string `json:"error,omitempty"`
	Busy     bool   `json:"busy,omitempty"`
	Ready    *State `json:"ready,omitempty"`
}

// reporter sends reports to Up. When Up is gone there is nobody to tell, so errors are ignored.
type reporter struct {
	encoder *json.Encoder
	log     io.Writer
}

func (r reporter) send(rep report) {
	_ = r.encoder.Encode(rep)
	if text := rep.Progress + rep.Error; text != "" {
		r.note("%s", text)
	}
}

func (r reporter) note(format string, args ...any) {
	_, _ = fmt.Fprintf(r.log, time.Now().Format(time.RFC3339)+" "+format+"\n", args...)
}

// Supervise runs the cluster until it is told to stop, one of its components dies, or Up dies before the cluster is ready. The
// arguments are those behind Command. It is only called by a program that Up has started.
func Supervise(arguments []string) error {
	var settings Settings
	if len(arguments) != 2 || arguments[0] != settingsFlag {
		return fmt.Errorf("%s is started by `cluster up` only", Command)
	}
	if err := json.Unmarshal([]byte(arguments[1]), &settings); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	lifeline, toUp := os.NewFile(lifelineFD, "lifeline"), os.NewFile(reportFD, "report")
	if lifeline == nil || toUp == nil {
		return fmt.Errorf("%s is started by `cluster up` only", Command)
	}
	syscall.CloseOnExec(lifelineFD) // the components must not keep Up waiting
	syscall.CloseOnExec(reportFD)
	r := reporter{encoder: json.NewEncoder(toUp), log: os.Stderr}
	err := supervise(settings, lifeline, r)
	if err != nil {
		r.send(report{Error: err.Error(), Busy: errors.Is(err, errLocked)})
	}
	return err
}

func supervise(settings Settings, lifeline *os.File, r reporter) (err error) {
	held, err := lock(settings.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	if err := cleanUp(settings.Dir, State{}); err != nil {
		return err
	}
	if err := redirectOutput(settings.Dir); err != nil {
		return err
	}
	self, err := process.Identify(os.Getpid())
	if err != nil {
		return err
	}
	state := State{Supervisor: self, StartedAt: time.Now()}
	if err := writeState(settings.Dir, state); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return runCluster(ctx, settings, state, watchUp(lifeline), r)
}

// redirectOutput makes the log file the standard output and error of this process, also for what the runtime prints when it crashes.
func redirectOutput(dir string) error {
	log, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	err = errors.Join(unix.Dup2(int(log.Fd()), 1), unix.Dup2(int(log.Fd()), 2), log.Close())
	if err != nil {
		return fmt.Errorf("redirect the output: %w", err)
	}
	return nil
}

// errUpStopped is the reason for a stop while Up waits.
var errUpStopped = errors.New("`cluster up` was stopped")

// watchUp returns a channel that gets nil once Up has seen the ready cluster, or errUpStopped when Up has died or given up before.
func watchUp(lifeline io.Reader) <-chan error {
	outcome := make(chan error, 1)
	go func() {
		var answer [1]byte
		if _, err := io.ReadFull(lifeline, answer[:]); err != nil || answer[0] != keepRunning {
			outcome <- errUpStopped
			return
		}
		outcome <- nil
	}()
	return outcome
}

// runCluster starts the cluster, keeps it until there is a reason to stop, and stops it. After a deliberate stop nothing of the cluster
// stays; after a failure its logs stay, with the reason.
func runCluster(ctx context.Context, settings Settings, state State, up <-chan error, r reporter) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	kept := make(chan struct{})
	go func() {
		if err := <-up; err != nil {
			cancel(err)
			return
		}
		close(kept)
	}()
	options, err := settings.options()
	if err != nil {
		return errors.Join(err, withdraw(settings.Dir, err))
	}
	options.Progress = func(line string) { r.send(report{Progress: line}) }
	c, err := cluster.Start(ctx, options)
	if err == nil {
		err = errors.Join(keep(ctx, c, settings, state, kept, r), c.Stop())
	}
	if ctx.Err() != nil {
		r.note("stopped: %v", context.Cause(ctx))
		return errors.Join(context.Cause(ctx), removeState(settings.Dir))
	}
	return errors.Join(err, withdraw(settings.Dir, err))
}

// keep publishes the ready cluster and waits. It returns nil when it was told to stop (ctx), else why the cluster cannot go on.
func keep(ctx context.Context, c *cluster.Cluster, settings Settings, state State, kept <-chan struct{}, r reporter) error {
	state.Ready, state.URL, state.Version, state.Nodes = true, c.URL(), c.Version(), settings.Nodes
	state.RealNode = settings.RealNode
	state.BinDir = settings.BinDir
	state.Components = c.Components()
	if settings.AuditLog {
		state.AuditLog = c.AuditLogPath()
	}
	if err := writeState(settings.Dir, state); err != nil {
		return err
	}
	r.send(report{Ready: &state})
	for {
		select {
		case <-kept:
			kept = nil // what is ready now stays; wait for the end
			r.note("the cluster is ready")
		case <-c.Failed():
			return c.Err()
		case <-ctx.Done():
			return nil
		}
	}
}
