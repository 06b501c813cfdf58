package program

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// RoleLabel is the label of metrics, and the key in log lines, whose value is a [Role].
const RoleLabel = "replica_role"

// Role is what a replica of a program is at present.
type Role string

const (
	// Leader holds the Lease and acts.
	Leader Role = "leader"
	// Follower serves, and waits for the Lease.
	Follower Role = "follower"
	// Standalone acts without a Lease, since it was told to be alone.
	Standalone Role = "standalone"
)

// Replica knows the present role of a replica. It may be used by many goroutines.
type Replica struct{ role atomic.Value }

// NewReplica is a follower.
func NewReplica() *Replica {
	r := &Replica{}
	r.set(Follower)
	return r
}

// Role is the present one.
func (r *Replica) Role() Role {
	role, _ := r.role.Load().(Role)
	return role
}

// Acts tells whether this replica is the one that acts: what only one replica may tell is told by it.
func (r *Replica) Acts() bool { return r.Role() != Follower }

func (r *Replica) set(role Role) { r.role.Store(role) }

// follow keeps the role right while the manager runs.
func (r *Replica) follow(mgr manager.Manager, elects bool) error {
	if !elects {
		r.set(Standalone)
		return nil
	}
	r.set(Follower)
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { // runs on the leader only
		r.set(Leader)
		<-ctx.Done()
		r.set(Follower)
		return nil
	}))
}

// replicaMetrics tell of the process itself.
type replicaMetrics struct {
	program     string
	replica     *Replica
	role, build *prometheus.Desc
}

// NewReplicaMetrics tell of a program's replica: its role and its build. They never count anything, so that a change of the
// role ends no series of a counter.
func NewReplicaMetrics(program string, replica *Replica) prometheus.Collector {
	return &replicaMetrics{
		program: program, replica: replica,
		role: prometheus.NewDesc("datapower_operator_replica_role",
			"1 for the present role of the replica: leader, follower, or standalone without leader election. Join it to other series by namespace, pod and container.",
			[]string{RoleLabel}, nil),
		build: prometheus.NewDesc("datapower_operator_build_info",
			"1, with the program, the version of the module it was built from and the Go version.", []string{"program", "version", "goversion"}, nil),
	}
}

// Describe implements [prometheus.Collector].
func (m *replicaMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- m.role
	descriptions <- m.build
}

// Collect implements [prometheus.Collector].
func (m *replicaMetrics) Collect(metrics chan<- prometheus.Metric) {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	metrics <- prometheus.MustNewConstMetric(m.role, prometheus.GaugeValue, 1, string(m.replica.Role()))
	metrics <- prometheus.MustNewConstMetric(m.build, prometheus.GaugeValue, 1, m.program, version, runtime.Version())
}

// Replace registers a collector, in the place of one with the same metrics that the registry may have: a process that runs
// a program again, as tests do, tells of the one that runs.
func Replace(registry prometheus.Registerer, collector prometheus.Collector) error {
	registry.Unregister(collector)
	return registry.Register(collector)
}

// roleCore adds the role of the replica to each line of the log.
type roleCore struct {
	zapcore.Core
	replica *Replica
}

// With implements [zapcore.Core].
func (c roleCore) With(fields []zapcore.Field) zapcore.Core {
	return roleCore{c.Core.With(fields), c.replica}
}

// eachSource is what controller-runtime says at level info for each watch of each controller. It is of interest to those
// only who look for a fault.
const eachSource = "Starting EventSource"

// Check implements [zapcore.Core].
func (c roleCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if entry.Message == eachSource {
		entry.Level = min(entry.Level, zapcore.DebugLevel)
	}
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write implements [zapcore.Core].
func (c roleCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	all := make([]zapcore.Field, 0, len(fields)+1)
	return c.Core.Write(entry, append(append(all, fields...), zap.String(RoleLabel, string(c.replica.Role()))))
}
