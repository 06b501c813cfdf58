// Package operator is the operator process of the benchmark: one of the variants, and a server on
// standard input and output that tells what the process has used.
package operator

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// Variants that can run.
const (
	Ours  = "ours"
	Stock = "stock"
	Floor = "floor"
)

// ErrUnknownVariant is returned by Run.
var ErrUnknownVariant = errors.New("unknown variant")

// Requests that Run answers: SnapshotCommand with a Snapshot, QuitCommand by ending.
const (
	SnapshotCommand = "snapshot"
	QuitCommand     = "quit"
)

// Options of an operator process.
type Options struct {
	Variant string
	// Chart is the chart's directory.
	Chart string
	// Profile is the file that gets a CPU profile of the whole life, and with ".heap" appended one of the heap at its end;
	// empty means none.
	Profile string
}

// running is a started variant.
type running interface {
	// run works until the context ends; ready is called when the caches are filled.
	run(ctx context.Context, ready func()) error
	reconciles() (int, error)
}

// Run runs a variant against the API server of KUBECONFIG. It writes an empty Snapshot when it is
// ready, and one for each SnapshotCommand on in.
func Run(ctx context.Context, o Options, in io.Reader, out io.Writer) (err error) {
	silence(os.Stderr)
	stop, err := profile(o.Profile)
	if err != nil {
		return err
	}
	stop = sync.OnceValue(stop)
	defer func() { err = errors.Join(err, stop()) }()
	// As programs do: without a client-side limit of the request rate.
	cfg, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	requests := &counter{counts: map[string]int{}}
	cfg.Wrap(requests.wrap)
	variant, err := variantFor(o, cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := json.NewEncoder(out)
	ended, isReady := make(chan error, 1), make(chan struct{})
	go func() { ended <- variant.run(ctx, func() { close(isReady) }) }()
	select {
	case err := <-ended:
		return err
	case <-isReady:
	}
	if err := answers.Encode(Snapshot{}); err != nil {
		return fmt.Errorf("tell: %w", err)
	}
	if err := serve(in, answers, requests, variant); err != nil {
		return err
	}
	err = stop() // while the operator still holds what it holds
	cancel()
	return errors.Join(err, <-ended)
}

// profile writes a CPU profile to the file until it is stopped, and then a heap profile to the file with ".heap" appended.
// An empty name means none.
func profile(name string) (stop func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	cpu, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("create profile: %w", err)
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(fmt.Errorf("start profile: %w", err), cpu.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		heap, err := os.Create(name + ".heap")
		if err != nil {
			return errors.Join(fmt.Errorf("create heap profile: %w", err), cpu.Close())
		}
		runtime.GC()
		return errors.Join(pprof.WriteHeapProfile(heap), heap.Close(), cpu.Close())
	}, nil
}

// silence drops the logs of all variants alike, so that none pays for writing them.
func silence(errors io.Writer) {
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	stdlog.SetOutput(io.Discard)
	if os.Getenv("BENCH_LOGS") != "" {
		ctrl.SetLogger(zap.New(zap.WriteTo(errors)))
	}
}

func variantFor(o Options, cfg *rest.Config) (running, error) {
	switch o.Variant {
	case Ours:
		return newOurs(cfg, o.Chart)
	case Stock:
		return newStock(cfg, o.Chart)
	case Floor:
		return newFloor(cfg, o.Chart)
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownVariant, o.Variant)
}

// serve answers until the input ends or says quit.
func serve(in io.Reader, answers *json.Encoder, requests *counter, variant running) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if lines.Text() == QuitCommand {
			return nil
		}
		s := Snapshot{Requests: requests.snapshot()}
		var err error
		if s.CPU, err = cpu(); err != nil {
			return err
		}
		if s.RSS, s.Peak, err = memory(); err != nil {
			return err
		}
		if s.Reconciles, err = variant.reconciles(); err != nil {
			return err
		}
		if err := answers.Encode(s); err != nil {
			return fmt.Errorf("tell: %w", err)
		}
	}
	return lines.Err()
}
