package monitor

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
)

func startPool(t *testing.T, places, looks int) *pool {
	t.Helper()
	p := newPool(places, looks)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, p.Start(ctx)) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		goleak.VerifyNone(t)
	})
	return p
}

func TestThePoolIsBoundedAndRunsEveryJob(t *testing.T) {
	p := newPool(3, 2)
	var running, most, looks, mostLooks, done atomic.Int64
	track := func(now, top *atomic.Int64) func() {
		for n := now.Add(1); ; {
			if old := top.Load(); old >= n || top.CompareAndSwap(old, n) {
				break
			}
		}
		return func() { now.Add(-1) }
	}
	var jobs sync.WaitGroup
	jobs.Add(200)
	for range 100 { // before the start they wait
		p.submitWork(func(context.Context) { defer jobs.Done(); defer track(&running, &most)(); done.Add(1) })
		p.submitLook(func(context.Context) {
			defer jobs.Done()
			defer track(&running, &most)()
			defer track(&looks, &mostLooks)()
			time.Sleep(time.Millisecond)
			done.Add(1)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Start(ctx) }()
	jobs.Wait()
	cancel()
	assert.NoError(t, <-ended)
	assert.EqualValues(t, 200, done.Load())
	assert.LessOrEqual(t, most.Load(), int64(3))
	assert.LessOrEqual(t, mostLooks.Load(), int64(2))
	goleak.VerifyNone(t)
}

func TestLooksThatHangDoNotKeepWorkWaiting(t *testing.T) {
	p := startPool(t, 2, 1)
	release := make(chan struct{})
	for range 5 {
		p.submitLook(func(context.Context) { <-release })
	}
	done := make(chan struct{})
	p.submitWork(func(context.Context) { close(done) })
	<-done
	close(release)
}

func TestAStoppedPoolDropsWhatWaitsAndAwaitsWhatRuns(t *testing.T) {
	p := newPool(1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	begun, ended := make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	p.submitWork(func(ctx context.Context) {
		close(begun)
		<-ctx.Done()
		finished.Store(true)
	})
	p.submitWork(func(context.Context) { t.Error("it waited") })
	go func() { defer close(ended); assert.NoError(t, p.Start(ctx)) }()
	<-begun
	cancel()
	<-ended
	assert.True(t, finished.Load())
	p.submitWork(func(context.Context) { t.Error("too late") })
}

func TestPauses(t *testing.T) {
	p := Policy{Tick: 10 * time.Minute, Retry: 30 * time.Second}
	for findings, want := range []time.Duration{10 * time.Minute, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute} {
		assert.Equal(t, want, p.pause(findings, 0.5))
	}
	assert.Equal(t, 10*time.Minute, p.pause(1000, 0.5))
	assert.Equal(t, 8*time.Minute, p.pause(0, 0))
	assert.Equal(t, 12*time.Minute, p.pause(0, 1))
}
