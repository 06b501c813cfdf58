package gateway

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scaleEnv sets how many gateways TestScale runs: GATEWAY_SCALE=3000 go test -run TestScale -v .
const scaleEnv = "GATEWAY_SCALE"

// usage is what the process has used and has in use.
type usage struct {
	cpu        time.Duration
	heap       uint64
	stacks     uint64
	goroutines int
	files      int
}

func measure(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var resources syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &resources))
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return usage{
		cpu:  time.Duration(resources.Utime.Nano() + resources.Stime.Nano()),
		heap: memory.HeapAlloc, stacks: memory.StackInuse, goroutines: runtime.NumGoroutine(), files: len(entries),
	}
}

// A fleet of services with three gateways each, with the pace of real gateways: what it costs to start, to be, to answer,
// and to lose every pod at once.
func TestScale(t *testing.T) {
	pods, idle := 30, time.Second
	if text := os.Getenv(scaleEnv); text != "" {
		var err error
		pods, err = strconv.Atoi(text)
		require.NoError(t, err)
		idle = 30 * time.Second
	}
	services := pods / 3
	c := newCluster(t, func(o *FleetOptions) { o.Settings = Settings{} })
	for s := range services {
		c.configure(fmt.Sprintf("gw%d", s), onePeering)
	}
	before := measure(t)
	begin := time.Now()
	for s := range services {
		for p := range 3 {
			c.run(fmt.Sprintf("gw%d", s), fmt.Sprintf("gw%d-%d", s, p), fmt.Sprintf("10.%d.%d.%d", s/250, s%250, p+1))
		}
	}
	created := time.Since(begin)
	c.allHealed(services)
	settled := time.Since(begin)
	after := measure(t)
	time.Sleep(idle)
	rested := measure(t)
	t.Logf("%d gateways: pods made in %s, all peerings healed after %s, %s CPU in all", pods, created, settled, after.cpu-before.cpu)
	t.Logf("each: %d bytes of heap (with its objects in the fake API server), %d of stacks, %.2f goroutines, %.2f files",
		(after.heap-before.heap)/uint64(pods), (after.stacks-before.stacks)/uint64(pods),
		float64(after.goroutines-before.goroutines)/float64(pods), float64(after.files-before.files)/float64(pods))
	t.Logf("idle: %.2f %% of a core", 100*float64(rested.cpu-after.cpu)/float64(idle))

	c.askAll(services)

	begin = time.Now()
	for s := range services {
		for p := range 3 {
			c.delete(fmt.Sprintf("gw%d-%d", s, p))
		}
		// The fake API server takes no more than a hundred events that nobody has read yet.
		require.Eventually(t, func() bool { return len(c.fleet.Instances()) < 3*(services-s)+60 }, time.Minute, time.Millisecond)
	}
	require.Eventually(t, func() bool { return len(c.fleet.Instances()) == 0 }, time.Minute, 10*time.Millisecond)
	t.Logf("all pods deleted in %s", time.Since(begin))
	require.Eventually(t, func() bool { return runtime.NumGoroutine() < before.goroutines+20 }, time.Minute, 100*time.Millisecond,
		"nothing of the gateways is left")
}

func (c *cluster) allHealed(services int) {
	c.t.Helper()
	var err error
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		err = nil
		for s := range services {
			name := fmt.Sprintf("gw%d", s)
			if count := len(c.fleet.ServiceInstances(namespace, name)); count != 3 {
				err = fmt.Errorf("%w: %s has %d gateways", ErrNotHealed, name, count)
				break
			}
			if err = c.fleet.Healed(namespace, name); err != nil {
				break
			}
		}
		if err == nil {
			return
		}
	}
	require.NoError(c.t, err)
}

// askAll reads the peering status of every gateway, eight at a time.
func (c *cluster) askAll(services int) {
	before, begin := measure(c.t), time.Now()
	var workers sync.WaitGroup
	var next, failed atomic.Int64
	for range 8 {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(3*services); i = next.Add(1) - 1 {
				s, p := i/3, i%3
				rows, err := c.rest(fmt.Sprintf("10.%d.%d.%d", s/250, s%250, p+1)).PeeringStatus(c.t.Context(), "apiconnect")
				if err != nil || len(rows) != 3 {
					failed.Add(1)
				}
			}
		})
	}
	workers.Wait()
	assert.Zero(c.t, failed.Load())
	c.t.Logf("%d gateways asked in %s, %s CPU for client and gateways", 3*services, time.Since(begin), measure(c.t).cpu-before.cpu)
}
