// Package measure runs the phases of the benchmark for one variant and one number of custom
// resources, each time in a cluster of its own, so that no variant pays for what another left.
package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/datapower-operator/datapower-operator/test/bench/operator"
	"github.com/datapower-operator/datapower-operator/test/bench/report"
	"github.com/datapower-operator/datapower-operator/test/cluster"
)

// user that operators authenticate as; the audit log tells its requests from others'.
const user = "bench-operator"

// controllers of Kubernetes that run. Those that would make pods don't: their work is the same for
// every variant and would blur the difference.
const controllers = "--controllers=namespace-controller,serviceaccount-controller,serviceaccount-token-controller"

// Options of one measurement.
type Options struct {
	Variant string
	// N is the number of custom resources.
	N int
	// Idle is how long the pure idle phase takes.
	Idle time.Duration
	// Chart is the chart's directory, CRDs the directory of the CRDs of what it renders.
	Chart, CRDs string
	// Profile is the directory for CPU profiles; empty means none.
	Profile string
	// Command are the arguments that make this program an operator of the variant.
	Command func(o operator.Options) []string
	// Progress gets one line per phase.
	Progress func(line string)
}

// measurement is one run.
type measurement struct {
	Options
	services   *services
	process    *process
	kubeconfig string
	result     report.Result
}

// Run measures one variant.
func Run(ctx context.Context, o Options) (result report.Result, err error) {
	c, err := cluster.Start(ctx, cluster.Options{AuditLog: true, ControllerManagerArgs: []string{controllers}})
	if err != nil {
		return result, fmt.Errorf("start cluster: %w", err)
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	kubeconfig, err := c.KubeconfigFor(user, "system:masters")
	if err != nil {
		return result, err
	}
	m := &measurement{Options: o, kubeconfig: filepath.Join(c.Dir(), "bench.kubeconfig")}
	m.result = report.Result{Variant: o.Variant, N: o.N, Phases: map[string]report.Phase{}}
	if err := os.WriteFile(m.kubeconfig, kubeconfig, 0o600); err != nil {
		return result, fmt.Errorf("write kubeconfig: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(m.kubeconfig)) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cfg := c.RESTConfig()
	cfg.QPS = -1
	if m.services, err = newServices(ctx, cfg, o.CRDs, o.N); err != nil {
		return result, err
	}
	if err := m.phases(ctx); err != nil {
		return result, fmt.Errorf("%s with %d: %w", o.Variant, o.N, err)
	}
	m.result.Audited, err = audited(c.AuditLogPath(), user)
	return m.result, err
}

func (m *measurement) phases(ctx context.Context) error {
	steps := []func(context.Context) error{m.install, m.idle, m.touch, m.upgrade, m.stop, m.restart, m.stop}
	if m.Variant == operator.Floor { // it has nothing to keep right
		steps = []func(context.Context) error{m.install, m.upgrade, m.stop}
	}
	if err := m.start(ctx, "life"); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return errors.Join(err, m.kill())
		}
	}
	return nil
}

func (m *measurement) start(ctx context.Context, life string) (err error) {
	o := operator.Options{Variant: m.Variant, Chart: m.Chart}
	if m.Profile != "" {
		o.Profile = filepath.Join(m.Profile, fmt.Sprintf("%s-%d-%s.pprof", m.Variant, m.N, life))
	}
	m.process, err = start(ctx, m.Command(o), m.kubeconfig)
	return err
}

func (m *measurement) stop(context.Context) error {
	s, err := m.process.snapshot()
	if err != nil {
		return err
	}
	m.result.Requests += s.Total()
	p := m.process
	m.process = nil
	return p.stop()
}

// kill ends an operator after a failure.
func (m *measurement) kill() error {
	if m.process == nil {
		return nil
	}
	err := m.process.cmd.Process.Kill()
	_ = m.process.cmd.Wait() // tells that it was killed
	return err
}

func (m *measurement) install(ctx context.Context) error {
	m.services.begin(0)
	return m.deploy(ctx, "install", m.services.create)
}

func (m *measurement) upgrade(ctx context.Context) error {
	m.services.begin(1)
	return m.deploy(ctx, "upgrade", m.services.change)
}

// deploy measures from a user's first request until all is deployed; requests and CPU until the
// operator is idle again.
func (m *measurement) deploy(ctx context.Context, phase string, request func(context.Context) error) error {
	before, err := m.process.snapshot()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := request(ctx); err != nil {
		return fmt.Errorf("%s: %w", phase, err)
	}
	if err := m.services.allDeployed(ctx); err != nil {
		return fmt.Errorf("%s: %w", phase, err)
	}
	wall := time.Since(began)
	after, _, err := m.process.settle(ctx, before.Reconciles+m.N)
	if err != nil {
		return fmt.Errorf("%s: %w", phase, err)
	}
	m.record(phase, before, after, wall)
	return nil
}

// idle measures what doing nothing costs.
func (m *measurement) idle(ctx context.Context) error {
	before, err := m.process.snapshot()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(m.Idle):
	}
	after, err := m.process.snapshot()
	if err != nil {
		return err
	}
	m.record("idle", before, after, m.Idle)
	return nil
}

// touch measures reconciles that find everything right.
func (m *measurement) touch(ctx context.Context) error {
	before, err := m.process.snapshot()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := m.services.touch(ctx); err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	after, last, err := m.process.settle(ctx, before.Reconciles+m.N)
	if err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	m.record("touch", before, after, last.Sub(began))
	return nil
}

// restart measures a new process that finds everything deployed.
func (m *measurement) restart(ctx context.Context) error {
	if err := m.start(ctx, "restart"); err != nil {
		return err
	}
	began := m.process.started
	after, last, err := m.process.settle(ctx, m.N)
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	m.record("restart", operator.Snapshot{}, after, last.Sub(began))
	return nil
}

func (m *measurement) record(phase string, before, after operator.Snapshot, wall time.Duration) {
	p := report.Phase{
		Wall: wall, CPU: after.CPU - before.CPU, Reconciles: after.Reconciles - before.Reconciles,
		RSS: after.RSS, Peak: after.Peak, Requests: map[string]int{},
	}
	for verb, count := range after.Requests {
		if n := count - before.Requests[verb]; n > 0 {
			p.Requests[verb] = n
		}
	}
	m.result.Phases[phase] = p
	m.Progress(fmt.Sprintf("%-5s n=%-4d %-8s %8.2fs  %6d requests  %7.2fs CPU  %4d MiB peak", m.Variant, m.N, phase,
		wall.Seconds(), p.Total(), p.CPU.Seconds(), p.Peak>>20))
}
