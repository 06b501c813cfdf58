package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/datapower-operator/datapower-operator/test/bench/operator"
)

// ErrBusy says that an operator did not become idle in time.
var ErrBusy = errors.New("the operator did not become idle in time")

const (
	// quiet is how long an operator must do nothing to count as idle.
	quiet = 2 * time.Second
	// look is how often a busy operator is asked.
	look = 100 * time.Millisecond
	// patience bounds every wait.
	patience = 15 * time.Minute
)

// process is an operator process.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	started time.Time
}

// start starts an operator process and waits until its caches are filled.
func start(ctx context.Context, args []string, kubeconfig string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start operator: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start operator: %w", err)
	}
	p := &process{cmd: cmd, in: in, answers: json.NewDecoder(out), started: time.Now()}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start operator: %w", err)
	}
	if err := p.answers.Decode(&operator.Snapshot{}); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for operator: %w", err), p.stop())
	}
	return p, nil
}

// stop ends the process in good order.
func (p *process) stop() error {
	_, err := io.WriteString(p.in, operator.QuitCommand+"\n")
	if err := errors.Join(err, p.in.Close(), p.cmd.Wait()); err != nil {
		return fmt.Errorf("stop operator: %w", err)
	}
	return nil
}

func (p *process) snapshot() (operator.Snapshot, error) {
	var s operator.Snapshot
	if _, err := io.WriteString(p.in, operator.SnapshotCommand+"\n"); err != nil {
		return s, fmt.Errorf("ask operator: %w", err)
	}
	if err := p.answers.Decode(&s); err != nil {
		return s, fmt.Errorf("ask operator: %w", err)
	}
	return s, nil
}

// settle waits until the process has done at least the given number of reconciles and then nothing
// for a while. It returns what was used by then, and when the last thing was done.
func (p *process) settle(ctx context.Context, atLeast int) (operator.Snapshot, time.Time, error) {
	var last operator.Snapshot
	changed := time.Now()
	for deadline := changed.Add(patience); time.Now().Before(deadline); {
		s, err := p.snapshot()
		if err != nil {
			return s, changed, err
		}
		if s.Total() != last.Total() || s.Reconciles != last.Reconciles {
			last, changed = s, time.Now()
		}
		if s.Reconciles >= atLeast && time.Since(changed) > quiet {
			return s, changed, nil
		}
		select {
		case <-ctx.Done():
			return s, changed, ctx.Err()
		case <-time.After(look):
		}
	}
	return last, changed, ErrBusy
}
