package faults_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/test/faults/cut"
	"github.com/datapower-operator/datapower-operator/test/integration/helmtest"
)

const (
	// patience bounds every wait.
	patience = time.Minute
	// quiet is how long the operator must ask nothing of the API server to count as idle.
	quiet = 400 * time.Millisecond
	poll  = 100 * time.Millisecond
)

var watchesText = fmt.Sprintf("- {group: faults.test, version: v1, kind: Demo, chart: demo, maxReleaseHistory: %d, maxConcurrentReconciles: 1}", maxHistory)

// trial is one run of a scenario in a namespace of its own.
type trial struct {
	scenario
	ctx       context.Context
	namespace string
}

// operator is one simulated process.
type operator struct {
	*cut.Line
	stop func()
}

func newTrial(ctx context.Context, s scenario) (*trial, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "faults-"}}
	if err := kube.Create(ctx, ns); err != nil {
		return nil, err
	}
	return &trial{scenario: s, ctx: ctx, namespace: ns.Name}, nil
}

func (t *trial) start() (*operator, error) { return t.doomed(0, cut.NeverSent) }

// doomed starts a process that dies at its k-th mutating request; 0 means never.
func (t *trial) doomed(k int, mode cut.Mode) (*operator, error) {
	line := cut.New()
	line.Arm(k, mode)
	cfg := rest.CopyConfig(apiServer)
	cfg.QPS = -1
	cfg.Wrap(line.Wrap)
	ctx, cancel := context.WithCancel(t.ctx)
	_, err := helmtest.Start(ctx, helmtest.Options{Config: cfg, Namespace: t.namespace, Watches: watchesText, Dir: "testdata"})
	if err != nil {
		cancel()
		return nil, err
	}
	return &operator{Line: line, stop: cancel}, nil
}

// prepare deploys what the scenario starts from.
func (t *trial) prepare(op *operator) error {
	if t.before == nil {
		return nil
	}
	u := t.resource(t.before)
	if err := kube.Create(t.ctx, u); err != nil {
		return err
	}
	if err := t.until(op, "the first spec is deployed", func() (bool, error) { return t.reports("Deployed=True/UpToDate") }); err != nil {
		return err
	}
	return t.idle(op)
}

// change asks for what the scenario ends with.
func (t *trial) change() error {
	switch {
	case t.after == nil:
		return kube.Delete(t.ctx, t.resource(nil))
	case t.before == nil:
		return kube.Create(t.ctx, t.resource(t.after))
	}
	u := t.resource(nil)
	if err := kube.Get(t.ctx, client.ObjectKeyFromObject(u), u); err != nil {
		return err
	}
	before := u.DeepCopy()
	u.Object["spec"] = t.after
	return kube.Patch(t.ctx, u, client.MergeFrom(before))
}

func (t *trial) resource(spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	if spec != nil {
		u.Object["spec"] = spec
	}
	u.SetGroupVersionKind(demoKind)
	u.SetNamespace(t.namespace)
	u.SetName(name)
	return u
}

// reports tells whether a condition is there for the newest generation.
func (t *trial) reports(condition string) (bool, error) {
	u := t.resource(nil)
	if err := kube.Get(t.ctx, client.ObjectKeyFromObject(u), u); err != nil {
		return false, err
	}
	return slices.Contains(conditions(u), condition), nil
}

// finished tells whether the operator reports the scenario's end.
func (t *trial) finished() (bool, error) {
	switch {
	case t.after == nil:
		u := t.resource(nil)
		err := kube.Get(t.ctx, client.ObjectKeyFromObject(u), u)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	case t.fails:
		return t.reports("ReleaseFailed=True/UpgradeError")
	}
	return t.reports("Deployed=True/UpToDate")
}

var errNever = errors.New("never")

// until waits for check.
func (t *trial) until(op *operator, what string, check func() (bool, error)) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(poll) {
		ok, err := check()
		if err != nil || ok {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %s; last requests: %s", errNever, what, lastRequests(op.Log()))
		}
	}
}

func lastRequests(log []cut.Request) string {
	var out []string
	for _, r := range log[max(0, len(log)-5):] {
		out = append(out, r.String())
	}
	return strings.Join(out, ", ")
}

// idle waits until the operator asks nothing of the API server for a moment.
func (t *trial) idle(op *operator) error {
	last, since := -1, time.Now()
	return t.until(op, "the operator is idle", func() (bool, error) {
		if n := op.Count(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > quiet, nil
	})
}

// reference runs the scenario without a crash. It returns the end state and the mutating requests that led there.
func (t *trial) reference() (*snapshot, []cut.Request, error) {
	op, err := t.start()
	if err != nil {
		return nil, nil, err
	}
	defer op.stop()
	if err := t.prepare(op); err != nil {
		return nil, nil, err
	}
	op.Arm(0, cut.NeverSent)
	if err := t.change(); err != nil {
		return nil, nil, err
	}
	if err := t.until(op, "the scenario ends", t.finished); err != nil {
		return nil, nil, err
	}
	if err := t.idle(op); err != nil {
		return nil, nil, err
	}
	log := op.Log()
	for len(log) > 0 && log[len(log)-1].Status/100 != 2 { // a second look at a resource that is gone, if the cache lags
		log = log[:len(log)-1]
	}
	end, err := take(t.ctx, t.namespace)
	return end, log, err
}

// outcome of one crash.
type outcome struct {
	// at is the request at which the process died; empty when it never got there.
	at string
	// differences from the reference; empty is good.
	differences []string
	// recovery is how long the next process took.
	recovery time.Duration
}

// crash runs the scenario with a process that dies at its k-th mutating request, and another one after it.
func (t *trial) crash(k int, mode cut.Mode, want *snapshot) (outcome, error) {
	first, err := t.start()
	if err != nil {
		return outcome{}, err
	}
	defer first.stop()
	if err := t.prepare(first); err != nil {
		return outcome{}, fmt.Errorf("prepare: %w", err)
	}
	first.Arm(k, mode)
	if err := t.change(); err != nil {
		return outcome{}, err
	}
	out := outcome{}
	select {
	case <-first.Dead():
		out.at = first.Log()[k-1].String()
	case <-time.After(patience / 3):
	}
	first.stop()
	return out, t.recover(&out, want, first.Log())
}

// recover lets another process finish what those with the given logs left.
func (t *trial) recover(out *outcome, want *snapshot, logs ...[]cut.Request) error {
	op, err := t.start()
	if err != nil {
		return err
	}
	defer op.stop()
	begin := time.Now()
	out.differences, err = t.converge(op, want)
	out.recovery = time.Since(begin) - quiet
	out.differences = append(out.differences, t.repeatedHooks(append(logs, op.Log())...)...)
	return err
}

// converge waits until the state is the wanted one and stays so.
func (t *trial) converge(op *operator, want *snapshot) ([]string, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(poll) {
		wrong, err := t.compare(want)
		if err == nil && len(wrong) == 0 {
			if err = t.idle(op); err != nil {
				return nil, err
			}
			if wrong, err = t.compare(want); err == nil && len(wrong) == 0 {
				return nil, nil
			}
		}
		if err != nil || time.Now().After(deadline) {
			return wrong, err
		}
	}
}

func (t *trial) compare(want *snapshot) ([]string, error) {
	got, err := take(t.ctx, t.namespace)
	if err != nil {
		return nil, err
	}
	return differences(want, got), nil
}

// repeatedHooks lists the hooks that ran again although the release's record said that they had ended. logs are those of
// the processes, in order. While a hook runs, nobody can know whether it ended: that is recorded with the next write of
// the revision that runs it, which is the one that was written before the hook was created.
func (t *trial) repeatedHooks(logs ...[]cut.Request) []string {
	var out []string
	for _, hook := range t.hooks {
		ran, ended := false, false
		for _, log := range logs {
			i := indexOf(log, hook)
			if i < 0 {
				continue
			}
			if ended {
				out = append(out, "hook "+hook+" ran again")
			}
			ran = true
			ended = ended || i > 0 && slices.ContainsFunc(log[i+1:], func(r cut.Request) bool {
				return r.Status/100 == 2 && r.Method == "PUT" && r.Path == log[i-1].Path
			})
		}
		if !ran {
			out = append(out, "hook "+hook+" never ran")
		}
	}
	return out
}

// indexOf finds the request that created an object; -1 when there is none.
func indexOf(log []cut.Request, object string) int {
	return slices.IndexFunc(log, func(r cut.Request) bool {
		return r.Method == "PATCH" && r.Status/100 == 2 && strings.HasSuffix(r.Path, "/"+object)
	})
}
